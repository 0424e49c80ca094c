/** Stores as the engine opens them, where a test or a benchmark says only what matters to it. */
import { openPostgres as open, type Timing } from '../../src/store/postgres/open.ts'
import { openSqlite as openAt } from '../../src/store/sqlite/open.ts'
import type { OpenedStore, StoreOptions } from '../../src/store/engine/api.ts'
import type { Shared, SharedChange } from '../../src/store/shared.ts'
import type { MasterKeys } from '../../src/vault/seal.ts'

export type { OpenedStore }

type Given = Partial<StoreOptions> & { readonly masterKeys: MasterKeys }
export type SqliteOptions = Given & { readonly path: string }
export type PostgresOptions = Given & Partial<Timing> & { readonly url: string }

export interface OpenedPostgres extends OpenedStore {
  readonly shared: Shared
}

const options = (given: Given): StoreOptions => ({
  storeLimitBytes: Infinity,
  reservedBytes: 24 * 1024 * 1024,
  hasTrail: true,
  wallMs: Date.now,
  onProblem() {},
  onGroup() {},
  onChange() {},
  signal: new AbortController().signal,
  ...given,
})

export const openSqlite = ({ path, ...given }: SqliteOptions) => openAt(path, options(given))

export async function openPostgres({ url, ...given }: PostgresOptions): Promise<OpenedPostgres> {
  const listeners: ((change: SharedChange) => void)[] = []
  const onChange = (change: SharedChange) => listeners.forEach((listener) => listener(change))
  const opened = await open(url, options({ onChange, ...given }), given)
  return {
    ...opened,
    shared: { ...opened.shared!, onChange: (listener) => void listeners.push(listener) },
  }
}
