/** Work on many rows, in bounded steps of one transaction each, so that commits run in between. */

/** Where a step starts: after this row of this table. `at` is undefined at the table's beginning. */
export interface Position {
  readonly table: number
  readonly at: number | undefined
}

const START: Position = { table: 0, at: undefined }

/** What a step counted, and where the next one starts; undefined after the last. */
export type WalkStep<Counts> = Counts & { readonly next: Position | undefined }

/** `at`: where the table continues; undefined when it is done. */
export function nextPosition(
  { table }: Position,
  at: number | undefined,
  tables: readonly unknown[],
): Position | undefined {
  if (at !== undefined) return { table, at }
  return table + 1 < tables.length ? { table: table + 1, at } : undefined
}

/** Takes all steps, and sums what they counted. */
export async function walk<Counts>(step: (from: Position) => Promise<WalkStep<Counts>>): Promise<Counts> {
  const sums: Record<string, number> = {}
  for (let from: Position | undefined = START; from !== undefined;) {
    const { next, ...counts }: WalkStep<Counts> = await step(from)
    for (const [name, count] of Object.entries(counts as Readonly<Record<string, number>>))
      sums[name] = (sums[name] ?? 0) + count
    from = next
  }
  return sums as Counts
}
