import type { CoreStore, Participant, Session, StoredResumePoint, StoredState } from '../../../core/index.js';
import type { KeptRecord, UsageStore, Webhook } from '../../../usage/index.js';
import type { EdgeCallStore, EdgeRecord, EdgeStore } from '../../leader/edge-store.js';
import type { CallRecord } from '../../messages.js';

type Table = 'session' | 'participant' | 'resume' | 'edge' | 'call' | 'record' | 'told';

interface SimCall {
  readonly id: string;
  readonly document: string;
  readonly edgeId: string;
}

/** The one database: what is committed, and by whom it may be changed. */
export class SimDatabase {
  epoch = 0;
  readonly rows: Readonly<Record<Table, Map<string, unknown>>> = {
    session: new Map(),
    participant: new Map(),
    resume: new Map(),
    edge: new Map(),
    call: new Map(),
    record: new Map(),
    told: new Map(),
  };

  commit(writes: ReadonlyMap<string, SimWrite>): void {
    for (const { table, key, row } of writes.values()) {
      if (row === undefined) this.rows[table].delete(key);
      else this.rows[table].set(key, row);
    }
  }

  openRecords(): KeptRecord[] {
    return this.all<KeptRecord>('record').filter(({ endedAt }) => endedAt === undefined);
  }

  callsOf(edgeId: string): CallRecord[] {
    return recordsIn(this.rows.call as Map<string, SimCall>, edgeId);
  }

  all<T>(table: Table): T[] {
    const keys = [...this.rows[table].keys()].sort();
    return keys.map((key) => this.rows[table].get(key) as T);
  }
}

interface SimWrite {
  readonly table: Table;
  readonly key: string;
  /** Undefined: deleted. */
  readonly row: unknown;
}

/** A leader's store: gathers writes, and commits them when the simulator says so. Everything gets there in one commit. */
export class SimStore implements CoreStore, EdgeStore, EdgeCallStore, UsageStore {
  readonly #database: SimDatabase;
  readonly #epoch: number;
  readonly #foundOpen: readonly KeptRecord[];
  readonly #calls: Map<string, SimCall>;
  #pending = new Map<string, SimWrite>();
  #waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(database: SimDatabase, epoch: number) {
    this.#database = database;
    this.#epoch = epoch;
    this.#foundOpen = database.openRecords();
    this.#calls = new Map(database.all<SimCall>('call').map((call) => [call.id, call]));
  }

  get hasPending(): boolean {
    return this.#pending.size > 0 || this.#waiting.length > 0;
  }

  /** @returns false when a newer leader has the database: nothing was written, and never will be */
  commit(): boolean {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#database.epoch !== this.#epoch) {
      for (const { reject } of waiting) reject(new Error('deposed'));
      return false;
    }
    this.#database.commit(this.#pending);
    this.#pending = new Map();
    for (const { resolve } of waiting) resolve();
    return true;
  }

  /** Counts something that an application is told of. */
  tell(key: string): void {
    const before = (this.#pending.get(`told ${key}`)?.row ??
      this.#database.rows.told.get(key) ??
      0) as number;
    this.#put('told', key, before + 1);
  }

  load(): StoredState {
    return {
      sessions: this.#database.all<Session>('session'),
      participants: this.#database.all<Participant>('participant'),
      resumePoints: this.#database.all<StoredResumePoint>('resume'),
    };
  }

  saveSession(session: Session): void {
    this.#put('session', session.id, session);
  }
  deleteSession(id: string): void {
    this.#put('session', id, undefined);
  }
  saveParticipant(participant: Participant): void {
    this.#put('participant', participant.id, participant);
  }
  deleteParticipant(id: string): void {
    this.#put('participant', id, undefined);
  }
  saveResumePoint(stored: StoredResumePoint): void {
    this.#put('resume', `${stored.participantId} ${stored.externalId}`, stored);
  }
  deleteResumePoint(participantId: string, externalId: string): void {
    this.#put('resume', `${participantId} ${externalId}`, undefined);
  }
  admitChange(): void {
    // It takes all.
  }
  admitConnection(): void {
    // It takes all.
  }

  edges(): readonly { readonly id: string; readonly record: EdgeRecord }[] {
    return Array.from(this.#database.rows.edge, ([id, record]) => ({ id, record: record as EdgeRecord }));
  }
  saveEdge(id: string, record: EdgeRecord): void {
    this.#put('edge', id, record);
  }
  deleteEdge(id: string): void {
    this.#put('edge', id, undefined);
  }

  recordsOf(edgeId: string): readonly CallRecord[] {
    return recordsIn(this.#calls, edgeId);
  }
  ownerOf(id: string): string | undefined {
    return this.#calls.get(id)?.edgeId;
  }
  saveCall(id: string, document: string, edgeId: string): void {
    this.#calls.set(id, { id, document, edgeId });
    this.#put('call', id, { id, document, edgeId });
  }
  deleteCall(id: string): void {
    this.#calls.delete(id);
    this.#put('call', id, undefined);
  }

  openRecords(): readonly KeptRecord[] {
    return this.#foundOpen;
  }
  saveRecord(record: KeptRecord): void {
    this.#put('record', record.id, record);
  }
  heartbeat(): void {
    // Lengths are not checked here.
  }
  deleteRecordsBefore(): void {
    // Nothing gets that old.
  }
  find(): Promise<never> {
    throw new Error('Nobody reads reports here.');
  }
  findConnections(): Promise<never> {
    throw new Error('Nobody reads reports here.');
  }
  webhooks(): readonly Webhook[] {
    return [];
  }
  saveWebhook(): void {
    // What is told is counted by `tell`.
  }
  deleteWebhook(): void {
    // As above.
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #put(table: Table, key: string, row: unknown): void {
    this.#pending.set(`${table} ${key}`, { table, key, row });
  }
}

function recordsIn(calls: ReadonlyMap<string, SimCall>, edgeId: string): CallRecord[] {
  return [...calls.values()]
    .filter((call) => call.edgeId === edgeId)
    .sort((one, other) => (one.id < other.id ? -1 : 1))
    .map(({ id, document }) => ({ id, document }));
}
