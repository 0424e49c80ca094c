/**
 * The tables of the two files. Each file has the version of its tables; a relay that knows less does not open it.
 *
 * batches       the waiting and the leased batches. The index is the order in which a queue is leased, replays last, and
 *               counts what is pending without reading a payload. `sealed` is the last column, since SQLite reads a row up
 *               to the column that is asked for
 * dedupe_blocks the keys of live events that were delivered or are queued, with their batches, as dedupe.ts packs them:
 *               one row per transaction
 * dedupe        those that the index in memory had no room for
 * totals        the totals of each queue, how many batches and events wait, and the bytes of these payloads and of dead letters
 * dead_letters  ids are never given twice, so that a walk from new to old meets no dead letter that died after it began;
 *               no index but the id and the time of death: every search is a walk in bounded steps
 * trail         what became of each event, as core/trail.ts packs it: one row per bucket of posts and transaction, or several small
 *               transactions, sorted by bucket. Their rows are gathered in `totals.open_trail`, of the row without account:
 *               nearly every transaction writes that page anyway
 * audit         what operators did; `details` is JSON of ids, filters and counts
 * recovered     what was taken of which file that was quarantined
 * documents     the vault's records, sealed as a whole
 *
 * `history` is JSON of [at_ms, reason] pairs, null while there is none: stable words, never a text of Pinterest's.
 */
import { COUNTERS } from '../core/counters.ts'
import type { Schema } from './connection.ts'

const META = `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY
  ) STRICT, WITHOUT ROWID;`

export const QUEUE_SCHEMA: Schema = {
  version: 1,
  tables: `${META}
  CREATE TABLE totals (
    ad_account_id TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    ${COUNTERS.map((name) => `${name} INTEGER NOT NULL`).join(', ')},
    open_trail TEXT,
    PRIMARY KEY (ad_account_id, is_test)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE batches (
    batch_id INTEGER PRIMARY KEY,
    ad_account_id TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    is_replay INTEGER NOT NULL,
    oldest_event_time_s INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    pending_count INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    acknowledged BLOB,
    history TEXT,
    sealed BLOB NOT NULL
  ) STRICT;
  CREATE INDEX batches_in_order ON batches
    (ad_account_id, is_test, is_replay, oldest_event_time_s, batch_id, pending_count);
  CREATE TABLE dedupe (
    key BLOB PRIMARY KEY,
    batch_id INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ad_account_id TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    event_name TEXT NOT NULL,
    event_id TEXT NOT NULL,
    order_id TEXT,
    event_time_s INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    first_seen_at_ms INTEGER NOT NULL,
    died_at_ms INTEGER NOT NULL,
    history TEXT,
    sealed BLOB NOT NULL
  ) STRICT;
  CREATE INDEX dead_letters_by_death ON dead_letters (died_at_ms);
  CREATE TABLE trail (
    id INTEGER PRIMARY KEY,
    received_at_ms INTEGER NOT NULL,
    marks INTEGER NOT NULL,
    ids BLOB NOT NULL,
    entries BLOB NOT NULL
  ) STRICT;
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    action TEXT NOT NULL,
    details TEXT NOT NULL
  ) STRICT;
  CREATE TABLE recovered (
    file TEXT NOT NULL,
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (file, kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dedupe_blocks (
    block_id INTEGER PRIMARY KEY,
    seen_at_ms INTEGER NOT NULL,
    entries BLOB NOT NULL
  ) STRICT`,
}

export const VAULT_SCHEMA: Schema = {
  version: 1,
  tables: `${META}
  CREATE TABLE documents (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID`,
}
