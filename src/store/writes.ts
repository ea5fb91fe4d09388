/** `JSON.stringify` writes lone surrogates and NUL as escapes; an escaped backslash is not part of one. */
const UNSTORABLE_IN_JSON = /\\\\|\\u(?:d[89a-f][0-9a-f]{2}|0000)/g;
const UNSTORABLE = /\0|\p{Surrogate}/gu;
const REPLACEMENT = '\ufffd';

/** Usage records in one deletion, so that other writes wait for a slice and not for a year's records. */
export const DELETED_AT_ONCE = 500;

/** All that the store writes. Each engine has a statement for each, and `row` of {@link Write} its values. */
export type WriteName =
  | 'saveSession'
  | 'deleteSession'
  | 'saveParticipant'
  | 'deleteParticipant'
  | 'saveResumePoint'
  | 'deleteResumePoint'
  | 'deleteResumePoints'
  | 'saveCall'
  | 'deleteCall'
  | 'saveEdge'
  | 'deleteEdge'
  | 'saveProgram'
  | 'deleteProgram'
  | 'saveRecord'
  | 'heartbeat'
  | 'deleteRecords'
  | 'saveWebhook'
  | 'deleteWebhook';

/** One write of one item. It holds the whole new state, so that it may be repeated. */
export interface Write {
  readonly name: WriteName;
  /** One row, as JSON. */
  readonly row: string;
}

/** Successive writes of the same kind, which become one statement. */
interface WriteGroup {
  readonly name: WriteName;
  readonly rows: readonly string[];
}

/** Groups successive writes of the same kind; the order of the writes stays. */
export function grouped(writes: Iterable<Write>): readonly WriteGroup[] {
  const groups: { readonly name: WriteName; readonly rows: string[] }[] = [];
  for (const { name, row } of writes) {
    const last = groups.at(-1);
    if (last?.name === name) last.rows.push(row);
    else groups.push({ name, rows: [row] });
  }
  return groups;
}

/** A row as JSON, without what databases cannot return as text: NUL and lone surrogates become U+FFFD. */
export function toRow(value: object): string {
  const json = JSON.stringify(value);
  return json.includes('\\u')
    ? json.replace(UNSTORABLE_IN_JSON, (found) => (found === '\\\\' ? found : REPLACEMENT))
    : json;
}

/** A text as {@link toRow} would store it: texts that become the same in the database are the same here. */
export function storable(text: string): string {
  return text.replace(UNSTORABLE, REPLACEMENT);
}

/** A text within SQL, between quotes. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
