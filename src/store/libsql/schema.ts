import { DataFolderError } from './data-folder.js';
import { type Database, rows } from './database.js';

/**
 * The steps from an empty file to the present schema. Released ones are never changed. `PRAGMA user_version` is the
 * number of steps that a file has had.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE sessions (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE participants (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE resume_points (
    participant_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    saved INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (participant_id, external_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE usage_records (
    id TEXT PRIMARY KEY,
    connection_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    session_id TEXT,
    session_tag TEXT,
    participant_id TEXT NOT NULL,
    participant_tag TEXT,
    kind TEXT NOT NULL,
    direction TEXT NOT NULL,
    device_id TEXT NOT NULL,
    caller TEXT,
    caller_name TEXT,
    called TEXT,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_reason TEXT,
    callback_url TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX usage_records_by_account ON usage_records (account_id, started_at);
  CREATE INDEX usage_records_open ON usage_records (id) WHERE ended_at IS NULL;
  CREATE TABLE webhooks (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  'CREATE INDEX usage_records_by_end ON usage_records (ended_at) WHERE ended_at IS NOT NULL',
  // Participants have a list of optional events. A damaged document is skipped here; the reader reports it.
  `UPDATE participants SET document = json_set(document, '$.events', json('[]')) WHERE json_valid(document)`,
  // Unknown for the connections from before. Codecs are separated by blanks.
  `
  ALTER TABLE usage_records ADD COLUMN received_codecs TEXT;
  ALTER TABLE usage_records ADD COLUMN received_encryption TEXT;
  ALTER TABLE usage_records ADD COLUMN sent_codecs TEXT;
  ALTER TABLE usage_records ADD COLUMN sent_encryption TEXT;
  `,
  'CREATE TABLE calls (id TEXT PRIMARY KEY, sealed TEXT NOT NULL) STRICT, WITHOUT ROWID',
  // As JSON. Unknown for the connections from before.
  'ALTER TABLE usage_records ADD COLUMN quality TEXT',
  'CREATE TABLE programs (id TEXT PRIMARY KEY, sealed TEXT NOT NULL) STRICT, WITHOUT ROWID',
  // 1: a test call of the gateway's own. Before, there were none.
  'ALTER TABLE usage_records ADD COLUMN test INTEGER',
  // To find one connection, by the gateway's id and by the device's own.
  `
  CREATE INDEX usage_records_by_connection ON usage_records (connection_id, started_at);
  CREATE INDEX usage_records_by_device ON usage_records (device_id);
  `,
  'CREATE TABLE edges (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID',
  // The edge that has it. Unknown of those from before.
  'ALTER TABLE calls ADD COLUMN edge TEXT',
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** A statement that writes to the disk, but changes nothing. */
export const PROBE = `PRAGMA user_version = ${SCHEMA_VERSION}`;

/** 0 for an empty file. */
export async function schemaVersion(database: Database): Promise<number> {
  const [row] = await rows(database, 'PRAGMA user_version');
  return Number(row?.['user_version'] ?? 0);
}

/**
 * Brings a database to the present schema. Each step is one transaction.
 * @param path the database's file, for the message
 * @throws DataFolderError when it was written by a newer version
 */
export async function migrate(database: Database, path: string): Promise<void> {
  const version = await schemaVersion(database);
  if (version > SCHEMA_VERSION) {
    throw new DataFolderError(
      `${path} has schema version ${version}; this version of the gateway knows ${SCHEMA_VERSION}. Run the ` +
        'version that wrote it, or restore a copy made before that: npm run restore -- FILE',
    );
  }
  for (const [index, step] of MIGRATIONS.entries()) {
    if (index < version) continue;
    await database.exec(`BEGIN; ${step}; PRAGMA user_version = ${index + 1}; COMMIT`);
  }
}
