/**
 * The tables of the two files. A change raises the version, and brings the statements that lead from the one before.
 *
 * queue         one narrow row per parcel, in the order in which a lane is leased, replays last: finding, counting and
 *               settling parcels never reads a payload, and needs no second index
 * payloads      appended, read when a parcel is leased, deleted; holds the way back to the queue's row
 * seen_blocks   the keys of live events that were delivered or are queued, with their parcels, as seen-block.ts packs them:
 *               one row per transaction
 * seen          those that the index in memory had no room for, and those of the relay that knew no blocks
 * lanes         the books, how many parcels and events wait, and the bytes of these payloads and of dead letters
 * dead_letters  ids are never given twice, so that a walk from new to old meets no letter that died after it began;
 *               no index but the id and the time of death: every search is a walk in bounded steps
 * audit         what operators did; `details` is JSON of ids, filters and counts
 * salvaged      what was taken of which file that was set aside
 * grants        one sealed pair of tokens per consent, for the accounts that name it
 * qualities     what Pinterest last said of an account's events
 *
 * `history` is JSON of [at_ms, reason] pairs, null while there is none: stable words, never a text of Pinterest's.
 */
import { LETTER_BYTES_SQL } from '../share.ts'
import { defineSchema } from './connection.ts'

const META = `
  CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY
  ) STRICT, WITHOUT ROWID;`

export const QUEUE_SCHEMA = defineSchema(
  `${META}
  CREATE TABLE lanes (
    lane_id INTEGER PRIMARY KEY,
    ad_account_id TEXT NOT NULL,
    is_test INTEGER NOT NULL,
    received INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    expired INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    parcels INTEGER NOT NULL DEFAULT 0,
    UNIQUE (ad_account_id, is_test)
  ) STRICT;
  CREATE TABLE queue (
    lane_id INTEGER NOT NULL,
    is_replay INTEGER NOT NULL,
    oldest_event_time_s INTEGER NOT NULL,
    parcel_id INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    pending_count INTEGER NOT NULL,
    settled BLOB,
    attempts INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    history TEXT,
    PRIMARY KEY (lane_id, is_replay, oldest_event_time_s, parcel_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE payloads (
    parcel_id INTEGER PRIMARY KEY,
    lane_id INTEGER NOT NULL,
    is_replay INTEGER NOT NULL,
    oldest_event_time_s INTEGER NOT NULL,
    sealed BLOB NOT NULL
  ) STRICT;
  CREATE TABLE seen (
    key BLOB PRIMARY KEY,
    parcel_id INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    lane_id INTEGER NOT NULL,
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
  CREATE TABLE salvaged (
    file TEXT NOT NULL,
    kind TEXT NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (file, kind, id)
  ) STRICT, WITHOUT ROWID`,
  `
  CREATE TABLE seen_blocks (
    block_id INTEGER PRIMARY KEY,
    seen_at_ms INTEGER NOT NULL,
    entries BLOB NOT NULL
  ) STRICT`,
  `
  ALTER TABLE lanes ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE lanes ADD COLUMN dead_bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE lanes SET bytes = found.bytes FROM
    (SELECT lane_id, SUM(size_bytes) AS bytes FROM queue GROUP BY lane_id) AS found WHERE found.lane_id = lanes.lane_id;
  UPDATE lanes SET dead_bytes = found.bytes FROM
    (SELECT lane_id, SUM(${LETTER_BYTES_SQL}) AS bytes FROM dead_letters GROUP BY lane_id) AS found
    WHERE found.lane_id = lanes.lane_id;
  CREATE INDEX dead_letters_by_death ON dead_letters (died_at_ms)`,
)

export const VAULT_SCHEMA = defineSchema(
  `${META}
  CREATE TABLE accounts (
    ad_account_id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    country TEXT,
    dob_format TEXT,
    posts_per_minute INTEGER,
    is_paused INTEGER NOT NULL,
    sealed_token BLOB NOT NULL,
    token_last4 TEXT NOT NULL,
    token_set_at_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE keys (
    key_id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    ad_account_ids TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL
  ) STRICT`,
  `
  CREATE TABLE oauth_clients (
    client_id TEXT PRIMARY KEY,
    sealed_secret BLOB NOT NULL
  ) STRICT;
  CREATE TABLE grants (
    grant_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    sealed_pair BLOB NOT NULL,
    access_token_last4 TEXT NOT NULL,
    scope TEXT NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    refresh_expires_at_ms INTEGER,
    given_digest TEXT,
    asked_at_ms INTEGER,
    refused_at_ms INTEGER,
    failed_at_ms INTEGER,
    failure TEXT
  ) STRICT;
  CREATE TABLE qualities (
    ad_account_id TEXT PRIMARY KEY,
    fetched_at_ms INTEGER,
    scores TEXT NOT NULL,
    failed_at_ms INTEGER,
    failure TEXT
  ) STRICT;
  CREATE TABLE accounts_2 (
    ad_account_id TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    country TEXT,
    dob_format TEXT,
    posts_per_minute INTEGER,
    is_paused INTEGER NOT NULL,
    token_kind TEXT NOT NULL,
    sealed_token BLOB,
    token_last4 TEXT NOT NULL,
    token_set_at_ms INTEGER NOT NULL,
    client_id TEXT,
    grant_id TEXT,
    created_at_ms INTEGER NOT NULL
  ) STRICT;
  INSERT INTO accounts_2
    SELECT ad_account_id, label, country, dob_format, posts_per_minute, is_paused, 'given', sealed_token, token_last4,
      token_set_at_ms, NULL, NULL, created_at_ms FROM accounts;
  DROP TABLE accounts;
  ALTER TABLE accounts_2 RENAME TO accounts`,
)
