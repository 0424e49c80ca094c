import t from 'tap'
import { hashesAlone, ignoresLooks, spellsOnce } from './user-data.ts'

t.test('nothing throws, and hashed fields hold hashes alone', async () => hashesAlone(5000))

t.test('spelling what was spelled changes nothing', async () => spellsOnce(5000))

t.test('case, invisible characters and white space at the ends do not matter', async () => ignoresLooks(5000))
