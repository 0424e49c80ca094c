import t from 'tap'
import { hashesAlone, ignoresLooks, normalizesOnce } from './user-data.ts'

t.test('nothing throws, and hashed fields hold hashes alone', async () => hashesAlone(5000))

t.test('normalizing what was normalized changes nothing', async () => normalizesOnce(5000))

t.test('case, invisible characters and white space at the ends do not matter', async () => ignoresLooks(5000))
