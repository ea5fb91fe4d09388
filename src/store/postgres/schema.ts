import { StoreError } from '../engine.js';
import type { Connection } from './connection.js';

/** The channel that tells of each commit. */
export const CHANGES_CHANNEL = 'patchbay_changes';
/** SQLSTATE of a write that is refused since another gateway, or a newer connection of this one, has taken over. */
export const NOT_ADMITTED = 'PB001';

/** PostgreSQL 13 is the oldest version that is still patched by distributions. */
const LEAST_SERVER = 13;
/** Only one node at a time prepares the schema: `patchbay` in ASCII. */
const SCHEMA_LOCK = '8097881575290724729';
/** How long another node may take to prepare it. */
const PREPARE_LIMIT_MS = 60_000;

/**
 * The steps from nothing to the present schema. Released ones are never changed. Texts are compared by their bytes, as
 * libsql does. Keys that devices choose may be long, which a B-tree does not take: such columns have a hash index or none.
 *
 * `leader` has one row. Who writes holds it by FOR KEY SHARE, which waits for a change of `epoch` or `generation`, its key,
 * and makes that wait; but not for a renewal of `expires_at`, which therefore no commit delays.
 *
 * Each transaction has a number, `change`. What a standby keeps has it in its rows, and `deletions` has what is gone.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE leader (
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    holder text,
    address text,
    expires_at timestamptz,
    UNIQUE (epoch, generation)
  );
  CREATE UNIQUE INDEX leader_has_one_row ON leader ((true));
  INSERT INTO leader (epoch, generation) VALUES (0, 0);

  CREATE TABLE change_log (
    last bigint NOT NULL,
    trimmed bigint NOT NULL,
    trimmed_at timestamptz NOT NULL,
    heartbeat bigint NOT NULL
  );
  CREATE UNIQUE INDEX change_log_has_one_row ON change_log ((true));
  INSERT INTO change_log VALUES (0, 0, now(), 0);

  CREATE TABLE deletions (
    table_name text NOT NULL,
    key text NOT NULL,
    change bigint NOT NULL,
    at timestamptz NOT NULL
  );
  CREATE INDEX deletions_by_change ON deletions (change);
  CREATE INDEX deletions_by_time ON deletions (at);

  CREATE TABLE secrets (name text PRIMARY KEY, value text NOT NULL);

  CREATE TABLE sessions (id text COLLATE "C" PRIMARY KEY, document json NOT NULL, change bigint NOT NULL);
  CREATE INDEX sessions_by_change ON sessions (change);
  CREATE TABLE participants (id text COLLATE "C" PRIMARY KEY, document json NOT NULL, change bigint NOT NULL);
  CREATE INDEX participants_by_change ON participants (change);
  CREATE TABLE resume_points (
    participant_id text COLLATE "C" NOT NULL,
    external_id text COLLATE "C" NOT NULL,
    saved bigint NOT NULL,
    document json NOT NULL,
    change bigint NOT NULL
  );
  CREATE INDEX resume_points_by_participant ON resume_points (participant_id);
  CREATE INDEX resume_points_by_change ON resume_points (change);
  CREATE TABLE webhooks (id text COLLATE "C" PRIMARY KEY, document json NOT NULL, change bigint NOT NULL);
  CREATE INDEX webhooks_by_change ON webhooks (change);
  CREATE TABLE calls (id text COLLATE "C" PRIMARY KEY, sealed text NOT NULL, change bigint NOT NULL);
  CREATE INDEX calls_by_change ON calls (change);
  CREATE TABLE programs (id text COLLATE "C" PRIMARY KEY, sealed text NOT NULL, change bigint NOT NULL);
  CREATE INDEX programs_by_change ON programs (change);

  CREATE TABLE usage_records (
    id text COLLATE "C" PRIMARY KEY,
    connection_id text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C",
    session_tag text COLLATE "C",
    participant_id text COLLATE "C" NOT NULL,
    participant_tag text COLLATE "C",
    kind text NOT NULL,
    direction text NOT NULL,
    device_id text COLLATE "C" NOT NULL,
    caller text,
    caller_name text,
    called text,
    started_at bigint NOT NULL,
    ended_at bigint,
    end_reason text,
    received_codecs text,
    received_encryption text,
    sent_codecs text,
    sent_encryption text,
    quality text,
    test integer,
    seen_at bigint NOT NULL,
    callback_url text,
    change bigint NOT NULL
  );
  CREATE INDEX usage_records_by_account ON usage_records (account_id, started_at);
  CREATE INDEX usage_records_by_connection ON usage_records (connection_id, started_at);
  CREATE INDEX usage_records_by_device ON usage_records USING hash (device_id);
  CREATE INDEX usage_records_by_end ON usage_records (ended_at) WHERE ended_at IS NOT NULL;
  CREATE INDEX usage_records_open ON usage_records (change) WHERE ended_at IS NULL;

  CREATE FUNCTION admit_write(writer_epoch bigint, writer_generation bigint) RETURNS bigint
  LANGUAGE plpgsql SET search_path = patchbay, pg_catalog AS $body$
  DECLARE
    number bigint;
    due boolean;
  BEGIN
    PERFORM 1 FROM leader WHERE epoch = writer_epoch AND generation = writer_generation FOR KEY SHARE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'Epoch %, generation % may not write any more: another has taken over.',
        writer_epoch, writer_generation USING ERRCODE = '${NOT_ADMITTED}';
    END IF;
    UPDATE change_log SET last = last + 1
      RETURNING last, trimmed_at < now() - interval '1 minute' INTO number, due;
    IF due THEN
      WITH gone AS (DELETE FROM deletions WHERE at < now() - interval '10 minutes' RETURNING change)
      UPDATE change_log SET trimmed_at = now(), trimmed = greatest(trimmed, (SELECT max(change) FROM gone));
    END IF;
    RETURN number;
  END
  $body$;
  `,
  `
  CREATE TABLE edges (id text COLLATE "C" PRIMARY KEY, document json NOT NULL, change bigint NOT NULL);
  CREATE INDEX edges_by_change ON edges (change);
  `,
  'ALTER TABLE calls ADD COLUMN edge text COLLATE "C"',
];

const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings the schema `patchbay` of a database to the present version, in one transaction.
 * @throws StoreError when the server is too old, its encoding is not UTF-8, or a newer version has written the schema
 */
export async function prepareSchema(connection: Connection): Promise<void> {
  await checkServer(connection);
  const timeouts = `SET LOCAL lock_timeout = ${PREPARE_LIMIT_MS}; SET LOCAL statement_timeout = ${PREPARE_LIMIT_MS}`;
  await connection.exec('BEGIN');
  try {
    await connection.exec(
      `${timeouts}; SELECT pg_advisory_xact_lock(${SCHEMA_LOCK})`,
      PREPARE_LIMIT_MS + 1_000,
    );
    const version = await schemaVersion(connection);
    if (version > SCHEMA_VERSION) {
      throw new StoreError(
        `PATCHBAY_STORE: the schema patchbay of the database has version ${version}; this version of the gateway ` +
          `knows ${SCHEMA_VERSION}. Run the version that wrote it, or restore a copy made before that.`,
      );
    }
    for (const [index, step] of MIGRATIONS.entries()) {
      if (index < version) continue;
      await connection.exec(`${step}; UPDATE schema_version SET version = ${index + 1}`, PREPARE_LIMIT_MS);
    }
    await connection.exec('COMMIT');
  } catch (error) {
    if (connection.isOpen) await connection.exec('ROLLBACK');
    throw error;
  }
}

async function checkServer(connection: Connection): Promise<void> {
  const [server] = await connection.rows(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding`,
  );
  const version = Number(server?.['version']) / 10_000;
  if (version < LEAST_SERVER) {
    throw new StoreError(
      `PATCHBAY_STORE: the server is PostgreSQL ${Math.floor(version)}, and ${LEAST_SERVER} is the oldest that the gateway works with.`,
    );
  }
  if (server?.['encoding'] !== 'UTF8') {
    throw new StoreError(
      `PATCHBAY_STORE: the encoding of the database is ${String(server?.['encoding'])}, not UTF8: make another ` +
        "(CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0).",
    );
  }
}

/** 0 when there is none. The schema may be there, empty: an operator who grants no more than needed has made it. */
async function schemaVersion(connection: Connection): Promise<number> {
  const [found] = await connection.rows(
    `SELECT to_regnamespace('patchbay') AS schema, to_regclass('patchbay.schema_version') AS versions`,
  );
  if (found?.['schema'] === null) await connection.exec('CREATE SCHEMA patchbay');
  if (found?.['versions'] === null) {
    await connection.exec(
      'CREATE TABLE schema_version (version integer NOT NULL); INSERT INTO schema_version VALUES (0)',
    );
    return 0;
  }
  const [row] = await connection.rows('SELECT version FROM schema_version');
  return Number(row?.['version']);
}
