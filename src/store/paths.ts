/**
 * The files of a store on one machine, beside the queue: `relay.db` has `relay.vault.db`, `relay.reserved_space`,
 * `relay.master-key` and `relay.admin-token`.
 */
import { join, parse } from 'node:path'

export function vaultBeside(queuePath: string): string {
  const { ext } = parse(queuePath)
  return besideQueue(queuePath, `.vault${ext}`)
}

export function besideQueue(
  queuePath: string,
  ending: `.vault${string}` | '.reserved_space' | '.master-key' | '.admin-token',
): string {
  const { dir, name } = parse(queuePath)
  return join(dir, name + ending)
}
