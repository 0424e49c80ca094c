/** Debian's PostgreSQL: what npm brings has neither `pg_basebackup` nor `pg_rewind`, and no TLS. */
import { globSync } from 'node:fs'
import { join } from 'node:path'

/** Debian keeps each version apart; the newest one will do. */
const FOLDER = globSync('/usr/lib/postgresql/*/bin').toSorted().at(-1)

/** What to tell instead of running what needs it. */
export function debianPostgresMissing(): string | false {
  return FOLDER === undefined && "Debian's PostgreSQL is not installed (apt-get install postgresql)"
}

/** The path of one of its programs. */
export function debianPostgres(program: string): string {
  return join(FOLDER!, program)
}
