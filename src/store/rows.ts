import type { EdgeRecord, StoredEdge } from '../cluster/index.js';
import type { Log } from '../shared/index.js';

export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, SqlValue>>;

/** Parses a column of JSON. @throws Error when it is not a JSON object */
export function parsed(json: SqlValue | undefined): object {
  const value: unknown = JSON.parse(String(json));
  if (typeof value !== 'object' || value === null) throw new TypeError('This is not a JSON object.');
  return value;
}

/** An edge of the leader. */
export const storedEdge = (row: Row): StoredEdge => ({
  id: String(row['id']),
  record: parsed(row['document']) as EdgeRecord,
});

/** The edge that a call belongs to, if that is known. */
export const ownerIn = ({ edge }: Row): { readonly edge?: string } =>
  edge === null || edge === undefined ? {} : { edge: String(edge) };

/** Converts the rows of a table. Logs and leaves out damaged ones, so that they do not keep the gateway from starting. */
export function readable<T>(
  table: string,
  found: readonly Row[],
  convert: (row: Row) => T,
  log: Log,
): readonly T[] {
  return found.flatMap((row) => {
    try {
      return [convert(row)];
    } catch (error) {
      const { id, participant_id: participantId } = row;
      log.error({ err: error, table, id, participantId }, 'a row of the database is damaged, and is ignored');
      return [];
    }
  });
}
