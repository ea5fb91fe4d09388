import { NUMBER_COLUMNS, USAGE_COLUMNS } from '../usage-queries.js';
import { DELETED_AT_ONCE, grouped, quoted, type Write, type WriteName } from '../writes.js';
import { CHANGES_CHANNEL } from './schema.js';

/** The number of the transaction. */
const CHANGE = '(SELECT last FROM change_log)';

/** Inserts rows or replaces those with the same id. */
function save(table: string, columns: readonly string[], values: readonly string[]): string {
  const all = ['id', ...columns, 'change'];
  return `INSERT INTO ${table} (${all.join(', ')})
    SELECT value->>'id', ${values.join(', ')}, ${CHANGE} FROM rows
    ON CONFLICT (id) DO UPDATE SET ${all.map((column) => `${column} = excluded.${column}`).join(', ')}`;
}

/** Deletes rows, and notes for standbys which they were. */
function remove(table: string, which: string, key = 'id'): string {
  return `, gone AS (DELETE FROM ${table} WHERE ${which} RETURNING ${key} AS key)
    INSERT INTO deletions SELECT '${table}', key, ${CHANGE}, now() FROM gone`;
}

const BY_ID = "id IN (SELECT value->>'id' FROM rows)";
const RESUME_KEY = 'json_build_array(participant_id, external_id)::text';

const USAGE_VALUES = USAGE_COLUMNS.filter((column) => column !== 'id').map((column) =>
  NUMBER_COLUMNS.includes(column) ? `(value->>'${column}')::bigint` : `value->>'${column}'`,
);

/**
 * They continue `WITH rows(value)`, a JSON object in each row. An id may be in only one row of a statement: PostgreSQL
 * refuses to change a row twice.
 */
const STATEMENTS: Readonly<Record<WriteName, string>> = {
  saveSession: save('sessions', ['document'], ['value']),
  deleteSession: remove('sessions', BY_ID),
  saveParticipant: save('participants', ['document'], ['value']),
  deleteParticipant: remove('participants', BY_ID),
  saveResumePoint: `, replaced AS (DELETE FROM resume_points USING rows
      WHERE participant_id = value->>'participantId' AND external_id = value->>'externalId')
    INSERT INTO resume_points SELECT value->>'participantId', value->>'externalId', (value->>'saved')::bigint,
      value->'point', ${CHANGE} FROM rows`,
  deleteResumePoint: remove(
    'resume_points',
    "(participant_id, external_id) IN (SELECT value->>'participantId', value->>'externalId' FROM rows)",
    RESUME_KEY,
  ),
  deleteResumePoints: remove(
    'resume_points',
    "participant_id IN (SELECT value->>'participantId' FROM rows)",
    RESUME_KEY,
  ),
  saveCall: save('calls', ['sealed', 'edge'], ["value->>'sealed'", "value->>'edge'"]),
  deleteCall: remove('calls', BY_ID),
  saveEdge: save('edges', ['document'], ["value->'record'"]),
  deleteEdge: remove('edges', BY_ID),
  saveProgram: save('programs', ['sealed'], ["value->>'sealed'"]),
  deleteProgram: remove('programs', BY_ID),
  // A standby keeps open records: one that has ended is gone for it.
  saveRecord: `, saved AS (${save(
    'usage_records',
    USAGE_COLUMNS.filter((column) => column !== 'id'),
    USAGE_VALUES,
  )} RETURNING id, ended_at)
    INSERT INTO deletions SELECT 'usage_records', id, ${CHANGE}, now() FROM saved WHERE ended_at IS NOT NULL`,
  // One value for all open records, which would otherwise be written anew, each, every few seconds.
  heartbeat:
    "UPDATE change_log SET heartbeat = greatest(heartbeat, (SELECT (value->>'at')::bigint FROM rows))",
  deleteRecords: `DELETE FROM usage_records WHERE id IN (SELECT id FROM usage_records
    WHERE ended_at < (SELECT (value->>'before')::bigint FROM rows) ORDER BY ended_at LIMIT ${DELETED_AT_ONCE})`,
  saveWebhook: save('webhooks', ['document'], ['value']),
  deleteWebhook: remove('webhooks', BY_ID),
};

/** Who writes: see `admit_write` in the schema. */
interface Admission {
  readonly epoch: number;
  readonly generation: number;
}

/**
 * One transaction of many writes, as SQL text: it takes a single round trip, and once the server has the text, it needs
 * the client no more to finish.
 */
export function transaction(writes: Iterable<Write>, { epoch, generation }: Admission): string {
  const each = grouped(writes).map(
    ({ name, rows }) =>
      `WITH rows(value) AS (SELECT * FROM json_array_elements(${quoted(`[${rows.join(',')}]`)})) ${STATEMENTS[name]}`,
  );
  return [
    'BEGIN',
    `SELECT admit_write(${epoch}, ${generation})`,
    ...each,
    `NOTIFY ${CHANGES_CHANNEL}`,
    'COMMIT',
  ].join('; ');
}
