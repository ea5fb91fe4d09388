import {
  type CoreStore,
  type MediaType,
  type Participant,
  participantBytes,
  type ResumePoint,
  resumePointBytes,
  type Session,
  sessionBytes,
  type StoredResumePoint,
  type StoredState,
} from '../core/index.js';
import type { Log } from '../shared/index.js';
import { bytesOf, type Database, parsed, readable, type Row, rows } from './database.js';
import type { WriteQueue } from './write-queue.js';

const SAVE_SESSION = "INSERT OR REPLACE INTO sessions SELECT value->>'id', value FROM rows";
const DELETE_SESSION = "DELETE FROM sessions WHERE id IN (SELECT value->>'id' FROM rows)";
const SAVE_PARTICIPANT = "INSERT OR REPLACE INTO participants SELECT value->>'id', value FROM rows";
const DELETE_PARTICIPANT = "DELETE FROM participants WHERE id IN (SELECT value->>'id' FROM rows)";
const SAVE_RESUME_POINT = `INSERT OR REPLACE INTO resume_points
  SELECT value->>'participantId', value->>'externalId', value->>'saved', value->'point' FROM rows`;
const DELETE_RESUME_POINT = `DELETE FROM resume_points WHERE (participant_id, external_id) IN
  (SELECT value->>'participantId', value->>'externalId' FROM rows)`;
const DELETE_RESUME_POINTS = `DELETE FROM resume_points WHERE participant_id IN
  (SELECT value->>'participantId' FROM rows)`;

/** About this many bytes are read at a time: while they are parsed, memory holds them as bytes, text and objects. */
const SLICE_BYTES = 1_000_000;
const FIRST_SLICE = 16;
const LONGEST_SLICE = 1_000;

/** The data folder holds more than there is memory for. */
export class StateTooLargeError extends Error {
  override readonly name = 'StateTooLargeError';
}

/**
 * Reads the state that {@link CoreTables} gives to the core at the start.
 * @param room bytes of memory that the state may take
 * @throws StateTooLargeError that names the accounts with the most, and says what to do
 */
export async function loadCoreState(database: Database, room: number, log: Log): Promise<StoredState> {
  let bytes = 0;
  const all = async <T>(
    table: string,
    keys: readonly string[],
    convert: (row: Row) => T,
    sizeOf: (item: T) => number,
  ) => {
    const items: T[] = [];
    let slice = FIRST_SLICE;
    // Keys are read and compared in hexadecimal, since they may hold bytes that are not UTF-8.
    const columns = [...keys.map((key) => `hex(${key}) AS hex_${key}`), ...keys.map((key) => bytesOf(key))];
    if (table === 'resume_points') columns.push('saved');
    for (let last: Row | undefined; ;) {
      const parameters = last ? keys.map((key) => last![`hex_${key}`]!) : [];
      const places = parameters.map(() => 'CAST(unhex(?) AS TEXT)').join(', ');
      const after = last ? `WHERE (${keys.join(', ')}) > (${places})` : '';
      const found = await rows(
        database,
        `SELECT ${columns.join(', ')}, ${bytesOf('document')} FROM ${table} ${after}
         ORDER BY ${keys.map((key) => `${table}.${key}`).join(', ')} LIMIT ${slice}`,
        parameters,
      );
      const before = bytes;
      for (const item of readable(table, found, convert, log)) {
        bytes += sizeOf(item);
        items.push(item);
      }
      if (bytes > room) throw await tooLarge(database, room);
      if (found.length < slice) return items;
      const each = (bytes - before) / found.length;
      slice = Math.min(LONGEST_SLICE, Math.max(FIRST_SLICE, Math.floor(SLICE_BYTES / each)));
      last = found.at(-1);
    }
  };
  const document = (row: Row): unknown => parsed(row['document']);
  const sessions = await all('sessions', ['id'], (row) => document(row) as Session, sessionBytes);
  const participants = await all(
    'participants',
    ['id'],
    (row) => participantFrom(document(row) as StoredParticipant),
    participantBytes,
  );
  const points = await all(
    'resume_points',
    ['participant_id', 'external_id'],
    (row) => ({
      saved: Number(row['saved']),
      stored: {
        participantId: String(row['participant_id']),
        externalId: String(row['external_id']),
        point: document(row) as ResumePoint,
      },
    }),
    ({ stored: { externalId, point } }) => resumePointBytes(externalId, point),
  );
  points.sort((one, other) => one.saved - other.saved);
  return { sessions, participants, resumePoints: points.map(({ stored }) => stored) };
}

const WHOSE = `SELECT CAST(document->>'accountId' AS BLOB) AS account, count(*) AS items, sum(octet_length(document)) AS bytes
  FROM (SELECT document FROM sessions UNION ALL SELECT document FROM participants)
  WHERE json_valid(document)
  GROUP BY 1 ORDER BY bytes DESC LIMIT 5`;

async function tooLarge(database: Database, room: number): Promise<StateTooLargeError> {
  const owners = (await rows(database, WHOSE)).map(
    (row) =>
      `account ${String(row['account'])}: ${Number(row['items'])} items, ${megabytes(Number(row['bytes']))} MB`,
  );
  return new StateTooLargeError(
    `The sessions and participants in the data folder need more memory than this process has (${megabytes(room)} MB ` +
      `can be used; ${owners.join('; ')}). Nothing was changed. Start with more memory, for example ` +
      'NODE_OPTIONS=--max-old-space-size=8192; or delete what an account has, while the gateway is down, with ' +
      `sqlite3 patchbay.db "DELETE FROM participants WHERE document->>'accountId' = '<account>'". ` +
      'PATCHBAY_ACCOUNT_MEMORY_MB limits what one account may keep.',
  );
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1_000_000);
}

/** A participant's document in the database, whose media types are in upper case, as in REST. */
type StoredParticipant = Omit<Participant, 'publishPermissions'> & {
  readonly publishPermissions: readonly Uppercase<MediaType>[];
};

function participantFrom({ publishPermissions, ...participant }: StoredParticipant): Participant {
  return {
    ...participant,
    publishPermissions: publishPermissions.map((type) => (type === 'AUDIO' ? 'audio' : 'video')),
  };
}

function storedFrom({ publishPermissions, ...participant }: Participant): StoredParticipant {
  return {
    ...participant,
    publishPermissions: publishPermissions.map((type) => (type === 'audio' ? 'AUDIO' : 'VIDEO')),
  };
}

const NOTHING: StoredState = { sessions: [], participants: [], resumePoints: [] };

/** The core's state. It is only ever read as a whole, at the start, so each item is one JSON document. */
export class CoreTables implements CoreStore {
  #found: StoredState;
  readonly #queue: WriteQueue;
  #saved = 0;

  constructor(found: StoredState, queue: WriteQueue) {
    this.#found = found;
    this.#queue = queue;
  }

  load(): StoredState {
    const found = this.#found;
    // The core keeps the state from now on: a second copy would waste memory.
    this.#found = NOTHING;
    return found;
  }

  saveSession(session: Session): void {
    this.#queue.put(`session ${session.id}`, SAVE_SESSION, session);
  }

  deleteSession(id: string): void {
    this.#queue.put(`session ${id}`, DELETE_SESSION, { id });
  }

  saveParticipant(participant: Participant): void {
    this.#queue.put(`participant ${participant.id}`, SAVE_PARTICIPANT, storedFrom(participant));
  }

  deleteParticipant(id: string): void {
    this.#queue.put(`participant ${id}`, DELETE_PARTICIPANT, { id });
    this.#queue.put(`resume ${id}`, DELETE_RESUME_POINTS, { participantId: id });
  }

  saveResumePoint({ participantId, externalId, point }: StoredResumePoint): void {
    // Grows with each save, also when the machine's clock is set back.
    this.#saved = Math.max(this.#saved + 1, Date.now());
    const row = { participantId, externalId, saved: this.#saved, point };
    this.#queue.put(`resume ${participantId} ${externalId}`, SAVE_RESUME_POINT, row);
  }

  deleteResumePoint(participantId: string, externalId: string): void {
    const row = { participantId, externalId };
    this.#queue.put(`resume ${participantId} ${externalId}`, DELETE_RESUME_POINT, row);
  }

  admitChange(): void {
    this.#queue.admitChange();
  }

  admitConnection(): void {
    this.#queue.admitConnection();
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }
}
