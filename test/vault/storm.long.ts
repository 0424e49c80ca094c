import t from 'tap'
import { storm } from './storm.ts'

t.test('grants live through everything at once', (t) => storm(t, 200))
