/**
 * The tables of the two files: those of core/tables.ts, in SQLite's words, and
 *
 * dedupe_rows   the keys of live events that were delivered or are queued (dedupe.ts): one row per batch
 * dedupe_overflow   of the keys that the index in memory has no room for, the row of each
 * totals.open_trail   rows of the trail that are not in its table yet (open-trail.ts), of the row without account
 * recovered     what was recovered from which quarantined file
 *
 * Each file has the version of its tables; a relay that knows others does not open it. The index of batches is the order in which
 * a queue is leased, replays last, and counts what is pending without reading a row.
 */
import { CHECKED_QUEUE_TABLES, VAULT_TABLES } from '../core/tables.ts'
import type { Schema } from './connection.ts'

const REWRITTEN: readonly (readonly [RegExp, string])[] = [
  [/nth .*\n +seq numeric GENERATED .* PRIMARY KEY/g, 'seq INTEGER PRIMARY KEY'],
  [/bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY/g, 'INTEGER PRIMARY KEY AUTOINCREMENT'],
  [/\b(bigint|integer|boolean)\b/g, 'INTEGER'],
  [/\bbytea\b/g, 'BLOB'],
  [/\btext\b/g, 'TEXT'],
  // What has a key of more than one number is sorted by it.
  [/^( {4}(PRIMARY KEY \(.*\)))\n {2}\);/gm, '$1\n  ) STRICT, WITHOUT ROWID;'],
  [/^ {2}\);/gm, '  ) STRICT;'],
]

const toSqlite = (tables: string) => REWRITTEN.reduce((sql, [from, to]) => sql.replaceAll(from, to), tables)

export const QUEUE_SCHEMA: Schema = {
  version: 2,
  tables: `${toSqlite(CHECKED_QUEUE_TABLES)}
  CREATE INDEX batches_waiting ON batches
    (ad_account_id, is_test, is_replay, oldest_event_time_s, batch_id, pending_count, owner_id);
  ALTER TABLE totals ADD COLUMN open_trail TEXT;
  CREATE TABLE recovered (
    file TEXT NOT NULL,
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (file, kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dedupe_rows (
    row_id INTEGER PRIMARY KEY,
    batch_id INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL,
    keys BLOB NOT NULL
  ) STRICT;
  CREATE TABLE dedupe_overflow (
    key BLOB PRIMARY KEY,
    row_id INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
}

export const VAULT_SCHEMA: Schema = { version: 1, tables: toSqlite(VAULT_TABLES) }
