/**
 * How an operation asks the database: a generator that yields statements and is resumed with their rows. sqlite/run.ts runs each
 * at once, inside the group's transaction; postgres/run.ts one round trip after the other. The texts are PostgreSQL's, with `$1`
 * and `= ANY($1)`; sqlite/run.ts replaces the few words that are others in SQLite.
 */
export type Row = Readonly<Record<string, unknown>>

export type Step =
  | { readonly kind: 'query'; readonly text: string; readonly values: readonly unknown[] }
  | {
      readonly kind: 'insert'
      readonly table: string
      readonly rows: readonly Row[]
      readonly onConflict: string
    }
  | { readonly kind: 'update'; readonly table: string; readonly key: string; readonly rows: readonly Row[] }

export type Steps<Result> = Generator<Step, Result, readonly Row[]>

/** Any statement with parameters; answers its rows, none for a DELETE or an UPDATE without RETURNING. */
export function* query<Found extends object>(text: string, values: readonly unknown[] = []): Steps<Found[]> {
  return (yield { kind: 'query', text, values }) as unknown as Found[]
}

/** One statement, however many rows; they have the same columns. */
export function* insert(table: string, rows: readonly object[], onConflict = ''): Steps<void> {
  if (rows.length > 0) yield { kind: 'insert', table, rows: rows as readonly Row[], onConflict }
}

/** One statement, however many rows: each has the key, and the columns that change. */
export function* update(table: string, key: string, rows: readonly object[]): Steps<void> {
  if (rows.length > 0) yield { kind: 'update', table, key, rows: rows as readonly Row[] }
}
