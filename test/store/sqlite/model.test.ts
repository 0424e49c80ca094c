import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { openSqlite } from '../../../src/store/sqlite/open.ts'
import { testAgainstModel } from '../model.ts'

t.test('any sequence of operations does what the model does', async (t) => {
  const folder = t.testdir()
  const masterKeys = { current: randomBytes(32) }
  let grounds = 0
  const layGround = async () => {
    const path = join(folder, `${grounds++}`, 'relay.db')
    return { open: () => openSqlite({ path, masterKeys }) }
  }
  await testAgainstModel(t, layGround, 12)
})
