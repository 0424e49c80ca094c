import t from 'tap'
import { installAndUse } from './install-and-use.ts'

t.test("the packed client's declarations are good for a storefront that checks those of its libraries", (t) =>
  installAndUse(t, []),
)
