import { USAGE_COLUMNS } from '../usage-queries.js';
import { DELETED_AT_ONCE, grouped, quoted, type Write, type WriteName } from '../writes.js';

/**
 * They write the rows of the table `rows`, each with a JSON object in its column `value`. A participant's resume points
 * are deleted by a statement of their own.
 */
const STATEMENTS: Readonly<Record<WriteName, string>> = {
  saveSession: "INSERT OR REPLACE INTO sessions SELECT value->>'id', value FROM rows",
  deleteSession: "DELETE FROM sessions WHERE id IN (SELECT value->>'id' FROM rows)",
  saveParticipant: "INSERT OR REPLACE INTO participants SELECT value->>'id', value FROM rows",
  deleteParticipant: "DELETE FROM participants WHERE id IN (SELECT value->>'id' FROM rows)",
  saveResumePoint: `INSERT OR REPLACE INTO resume_points
    SELECT value->>'participantId', value->>'externalId', value->>'saved', value->'point' FROM rows`,
  deleteResumePoint: `DELETE FROM resume_points WHERE (participant_id, external_id) IN
    (SELECT value->>'participantId', value->>'externalId' FROM rows)`,
  deleteResumePoints: `DELETE FROM resume_points WHERE participant_id IN
    (SELECT value->>'participantId' FROM rows)`,
  saveCall: "INSERT OR REPLACE INTO calls SELECT value->>'id', value->>'sealed', value->>'edge' FROM rows",
  deleteCall: "DELETE FROM calls WHERE id IN (SELECT value->>'id' FROM rows)",
  saveEdge: "INSERT OR REPLACE INTO edges SELECT value->>'id', value->'record' FROM rows",
  deleteEdge: "DELETE FROM edges WHERE id IN (SELECT value->>'id' FROM rows)",
  saveProgram: "INSERT OR REPLACE INTO programs SELECT value->>'id', value->>'sealed' FROM rows",
  deleteProgram: "DELETE FROM programs WHERE id IN (SELECT value->>'id' FROM rows)",
  saveRecord: `INSERT OR REPLACE INTO usage_records (${USAGE_COLUMNS.join(', ')})
    SELECT ${USAGE_COLUMNS.map((column) => `value->>'${column}'`).join(', ')} FROM rows`,
  heartbeat: `UPDATE usage_records SET seen_at = max(seen_at, (SELECT value->>'at' FROM rows))
    WHERE ended_at IS NULL`,
  deleteRecords: `DELETE FROM usage_records WHERE id IN (SELECT id FROM usage_records
    WHERE ended_at < (SELECT value->>'before' FROM rows) ORDER BY ended_at LIMIT ${DELETED_AT_ONCE})`,
  saveWebhook: "INSERT OR REPLACE INTO webhooks SELECT value->>'id', value FROM rows",
  deleteWebhook: "DELETE FROM webhooks WHERE id IN (SELECT value->>'id' FROM rows)",
};

/**
 * One transaction of many writes, as SQL text. The library runs text as a whole off this thread, but passes and writes
 * bound values one by one on this thread.
 */
export function transaction(writes: Iterable<Write>): string {
  const each = grouped(writes).map(
    ({ name, rows }) =>
      `WITH rows(value) AS (VALUES ${rows.map((row) => `(${quoted(row)})`).join(', ')}) ${STATEMENTS[name]}`,
  );
  return `BEGIN; ${each.join('; ')}; COMMIT`;
}
