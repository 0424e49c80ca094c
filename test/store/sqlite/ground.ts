/** A folder of its own for one test's store. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openSqlite, type OpenedSqlite, type SqliteOptions } from '../../../src/store/sqlite/open.ts'
import type { Ground } from '../../contract/store.ts'

export interface SqliteGround extends Ground {
  readonly folder: string
  readonly path: string
  readonly vaultPath: string
  open(options?: Partial<SqliteOptions>): Promise<OpenedSqlite>
}

export async function layGround(t: Test): Promise<SqliteGround> {
  const folder = t.testdir()
  const path = join(folder, 'relay.db')
  const masterKeys = { current: randomBytes(32) }
  return {
    folder,
    path,
    vaultPath: join(folder, 'relay.vault.db'),
    async open(options) {
      const opened = await openSqlite({ path, masterKeys, ...options })
      t.teardown(() => opened.close().catch(() => undefined))
      return opened
    },
  }
}
