/**
 * The tables of the two files. A change raises the version, and brings the statements that lead from the one before.
 *
 * queue         one narrow row per batch, in the order in which a queue is leased, replays last: finding, counting and
 *               acknowledgements batches never reads a payload, and needs no second index
 * payloads      appended, read when a batch is leased, deleted; holds the way back to the queue's row
 * dedupe_blocks   the keys of live events that were delivered or are queued, with their batches, as dedupe-block.ts packs them:
 *               one row per transaction
 * dedupe        those that the index in memory had no room for
 * queues         the totals, how many batches and events wait, and the bytes of these payloads and of dead letters
 * dead_letters  ids are never given twice, so that a walk from new to old meets no dead letter that died after it began;
 *               no index but the id and the time of death: every search is a walk in bounded steps
 * audit         what operators did; `details` is JSON of ids, filters and counts
 * recovered      what was taken of which file that was quarantined
 * documents     the vault's records, sealed as a whole
 *
 * `history` is JSON of [at_ms, reason] pairs, null while there is none: stable words, never a text of Pinterest's.
 */
import { defineSchema } from './connection.ts'

const META = `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY
  ) STRICT, WITHOUT ROWID;`

export const QUEUE_SCHEMA = defineSchema(
  `${META}
  CREATE TABLE queues (
    queue_id INTEGER PRIMARY KEY,
    ad_account_id TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    received INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    expired INTEGER NOT NULL DEFAULT 0,
    filtered INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    invalid INTEGER NOT NULL DEFAULT 0,
    batches INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    dead_bytes INTEGER NOT NULL DEFAULT 0,
    UNIQUE (ad_account_id, is_test)
  ) STRICT;
  CREATE TABLE batches (
    queue_id INTEGER NOT NULL,
    is_replay INTEGER NOT NULL,
    oldest_event_time_s INTEGER NOT NULL,
    batch_id INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    pending_count INTEGER NOT NULL,
    acknowledged BLOB,
    attempts INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    history TEXT,
    PRIMARY KEY (queue_id, is_replay, oldest_event_time_s, batch_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE payloads (
    batch_id INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL,
    is_replay INTEGER NOT NULL,
    oldest_event_time_s INTEGER NOT NULL,
    sealed BLOB NOT NULL
  ) STRICT;
  CREATE TABLE dedupe (
    key BLOB PRIMARY KEY,
    batch_id INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id INTEGER NOT NULL,
    event_name TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_time_s INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    first_seen_at_ms INTEGER NOT NULL,
    died_at_ms INTEGER NOT NULL,
    history TEXT,
    sealed BLOB NOT NULL
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
  ) STRICT;
  CREATE INDEX dead_letters_by_death ON dead_letters (died_at_ms)`,
)

export const VAULT_SCHEMA = defineSchema(
  `${META}
  CREATE TABLE documents (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID`,
)
