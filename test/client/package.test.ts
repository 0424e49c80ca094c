import t from 'tap'
import { installAndUse } from './install-and-use.ts'

// Without the declarations of Node and of the language, which take more than all the rest: package.long.ts has them too.
t.test('the packed client is installed without a network, and every example of its page works', (t) =>
  installAndUse(t, ['--skipLibCheck']),
)
