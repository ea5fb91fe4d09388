import type { StoredEdge } from '../../cluster/index.js';
import type { Participant, Session } from '../../core/index.js';
import type { Log } from '../../shared/index.js';
import type { KeptRecord, Webhook } from '../../usage/index.js';
import { CORE_TABLES, type SavedResumePoint } from '../core-state.js';
import { readable, type Row, storedEdge } from '../rows.js';
import type { SealedRow } from '../seal.js';
import { USAGE_COLUMNS } from '../usage-queries.js';
import { type LoadedState, openRecord, sealedRow, webhook } from './load.js';

/** A table of which a standby keeps the rows, by their keys. */
interface Table<T> {
  /** What is read of a row. */
  readonly columns: string;
  readonly where?: string;
  readonly keyOf: (item: T) => string;
  readonly convert: (row: Row) => T;
}

const byId = ({ id }: { readonly id: string }): string => id;
/** As `deletions` has it: see {@link readKey}. */
const resumeKey = (participantId: string, externalId: string): string =>
  JSON.stringify([participantId, externalId]);

const TABLES = {
  sessions: { columns: 'id, document', keyOf: byId, convert: CORE_TABLES.sessions.convert } as Table<Session>,
  participants: {
    columns: 'id, document',
    keyOf: byId,
    convert: CORE_TABLES.participants.convert,
  } as Table<Participant>,
  resume_points: {
    columns: 'participant_id, external_id, saved, document',
    keyOf: ({ stored }) => resumeKey(stored.participantId, stored.externalId),
    convert: CORE_TABLES.resume_points.convert,
  } as Table<SavedResumePoint>,
  calls: { columns: 'id, sealed, edge', keyOf: byId, convert: sealedRow } as Table<SealedRow>,
  programs: { columns: 'id, sealed', keyOf: byId, convert: sealedRow } as Table<SealedRow>,
  edges: { columns: 'id, document', keyOf: byId, convert: storedEdge } as Table<StoredEdge>,
  webhooks: { columns: 'id, document', keyOf: byId, convert: webhook } as Table<Webhook>,
  usage_records: {
    columns: USAGE_COLUMNS.join(', '),
    where: 'ended_at IS NULL',
    keyOf: byId,
    convert: openRecord,
  } as Table<KeptRecord>,
};
type TableName = keyof typeof TABLES;
const NAMES = Object.keys(TABLES) as TableName[];

/** All changes since one, in one snapshot: {@link FollowedState.apply} takes the results. */
export function changesSince(change: number): string {
  return [
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    'SELECT last, trimmed, heartbeat FROM change_log',
    `SELECT table_name, key FROM deletions WHERE change > ${change}`,
    ...NAMES.map((name) => {
      const { columns, where = 'true' }: Pick<Table<unknown>, 'columns' | 'where'> = TABLES[name];
      return `SELECT ${columns} FROM ${name} WHERE change > ${change} AND ${where}`;
    }),
    'COMMIT',
  ].join('; ');
}

/** The results of {@link changesSince}. */
interface Changes {
  readonly last: number;
  /** Of this change and those before, `deletions` has no rows any more. */
  readonly trimmed: number;
  readonly heartbeat: number;
  readonly deletions: readonly Row[];
  readonly rows: Readonly<Record<TableName, readonly Row[]>>;
}

export function readChanges(results: readonly (readonly Row[])[]): Changes {
  const [, log, deletions = [], ...rows] = results;
  const [{ last, trimmed, heartbeat } = {}] = log ?? [];
  return {
    last: Number(last),
    trimmed: Number(trimmed),
    heartbeat: Number(heartbeat),
    deletions,
    rows: Object.fromEntries(NAMES.map((name, n) => [name, rows[n] ?? []])) as Changes['rows'],
  };
}

/** The state that a standby keeps up to date, by the keys of its rows. */
export class FollowedState {
  /** The number of the last transaction that is in it. */
  change: number;
  #heartbeat: number;
  readonly #items: {
    readonly [Name in TableName]: Map<string, ReturnType<(typeof TABLES)[Name]['convert']>>;
  };

  constructor(change: number, { core, heartbeat, ...rest }: LoadedState) {
    this.change = change;
    this.#heartbeat = heartbeat;
    this.#items = {
      sessions: keyed(TABLES.sessions, core.sessions),
      participants: keyed(TABLES.participants, core.participants),
      resume_points: keyed(TABLES.resume_points, core.points),
      calls: keyed(TABLES.calls, rest.calls),
      programs: keyed(TABLES.programs, rest.programs),
      edges: keyed(TABLES.edges, rest.edges),
      webhooks: keyed(TABLES.webhooks, rest.webhooks),
      usage_records: keyed(TABLES.usage_records, rest.openRecords),
    };
  }

  /** Deletions come first: what was deleted and saved again is among the rows. */
  apply({ last, heartbeat, deletions, rows }: Changes, log: Log): void {
    for (const { table_name: table, key } of deletions) {
      const name = NAMES.find((known) => known === table);
      if (name) this.#items[name].delete(readKey(name, String(key)));
    }
    for (const name of NAMES) {
      const items: Map<string, unknown> = this.#items[name];
      const { convert, keyOf } = TABLES[name] as Table<unknown>;
      for (const item of readable(name, rows[name], convert, log)) items.set(keyOf(item), item);
    }
    this.change = last;
    this.#heartbeat = heartbeat;
  }

  /** All of it, in no order. */
  get state(): LoadedState {
    const items = this.#items;
    return {
      core: {
        sessions: sorted(items.sessions),
        participants: sorted(items.participants),
        points: [...items.resume_points.values()],
      },
      calls: [...items.calls.values()],
      programs: [...items.programs.values()],
      edges: [...items.edges.values()],
      webhooks: [...items.webhooks.values()],
      openRecords: [...items.usage_records.values()],
      heartbeat: this.#heartbeat,
    };
  }
}

function keyed<T>({ keyOf }: Table<T>, items: readonly T[]): Map<string, T> {
  return new Map(items.map((item) => [keyOf(item), item]));
}

/** The core takes sessions and participants in the order of their ids. */
function sorted<T>(items: ReadonlyMap<string, T>): readonly T[] {
  return [...items].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, item]) => item);
}

/** PostgreSQL writes a list in JSON with other blanks than JavaScript. */
function readKey(name: TableName, key: string): string {
  return name === 'resume_points' ? JSON.stringify(JSON.parse(key)) : key;
}
