import { getHeapStatistics } from 'node:v8';
import {
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
import { StoreError } from './engine.js';
import { parsed, readable, type Row } from './rows.js';

/** About this many bytes are read at a time: while they are parsed, memory holds them as bytes, text and objects. */
const SLICE_BYTES = 1_000_000;
const FIRST_SLICE = 16;
const LONGEST_SLICE = 1_000;

/** There is more in the store than there is memory for. */
export class StateTooLargeError extends StoreError {
  override readonly name = 'StateTooLargeError';
}

/** A stored resume point; those of a participant are ordered by when they were saved. */
export interface SavedResumePoint {
  readonly saved: number;
  readonly stored: StoredResumePoint;
}

const document = (row: Row): unknown => parsed(row['document']);

/** The tables of the core's state: their keys, what becomes of their rows, and how much memory that takes. */
export const CORE_TABLES = {
  sessions: { keys: ['id'], convert: (row: Row) => document(row) as Session, sizeOf: sessionBytes },
  participants: {
    keys: ['id'],
    convert: (row: Row) => participantFrom(document(row) as StoredParticipant),
    sizeOf: participantBytes,
  },
  resume_points: {
    keys: ['participant_id', 'external_id'],
    convert: (row: Row): SavedResumePoint => ({
      saved: Number(row['saved']),
      stored: {
        participantId: String(row['participant_id']),
        externalId: String(row['external_id']),
        point: document(row) as ResumePoint,
      },
    }),
    sizeOf: ({ stored: { externalId, point } }: SavedResumePoint) => resumePointBytes(externalId, point),
  },
} as const;

export type CoreTable = keyof typeof CORE_TABLES;

/** Where the core's state is read from. */
export interface StateSource {
  /**
   * Rows of a table in the order of its keys: its keys, the document, and `saved` of resume points.
   * @param after the last row that was read
   */
  readonly page: (table: CoreTable, after: Row | undefined, limit: number) => Promise<readonly Row[]>;
  /** Rows of `account`, `items` and `bytes`: the accounts with the most bytes. */
  readonly largest: () => Promise<readonly Row[]>;
  /** Where it is, and how an operator deletes what an account has, for a message. */
  readonly words: { readonly place: string; readonly deletion: string };
}

/** What is in the tables of the core's state. */
export interface CoreItems {
  readonly sessions: readonly Session[];
  readonly participants: readonly Participant[];
  readonly points: readonly SavedResumePoint[];
}

/**
 * Reads the state that the core starts with.
 * @param room bytes of memory that the state may take
 * @throws StateTooLargeError that names the accounts with the most, and says what to do
 */
export async function loadCoreItems(source: StateSource, room: number, log: Log): Promise<CoreItems> {
  let bytes = 0;
  const all = async <T>(
    table: CoreTable,
    { convert, sizeOf }: { convert: (row: Row) => T; sizeOf: (item: T) => number },
  ): Promise<T[]> => {
    const items: T[] = [];
    let slice = FIRST_SLICE;
    for (let last: Row | undefined; ;) {
      const found = await source.page(table, last, slice);
      const before = bytes;
      for (const item of readable(table, found, convert, log)) {
        bytes += sizeOf(item);
        items.push(item);
      }
      if (bytes > room) throw await tooLarge(source, room);
      if (found.length < slice) return items;
      const each = (bytes - before) / found.length;
      slice = Math.min(LONGEST_SLICE, Math.max(FIRST_SLICE, Math.floor(SLICE_BYTES / each)));
      last = found.at(-1);
    }
  };
  const sessions = await all('sessions', CORE_TABLES.sessions);
  const participants = await all('participants', CORE_TABLES.participants);
  const points = await all('resume_points', CORE_TABLES.resume_points);
  return { sessions, participants, points };
}

/** The state as the core takes it: resume points in the order in which they were saved. */
export function coreStateOf({ sessions, participants, points }: CoreItems): StoredState {
  const inOrder = [...points].sort((one, other) => one.saved - other.saved);
  return { sessions, participants, resumePoints: inOrder.map(({ stored }) => stored) };
}

async function tooLarge({ largest, words }: StateSource, room: number): Promise<StateTooLargeError> {
  const owners = (await largest()).map(
    (row) =>
      `account ${String(row['account'])}: ${Number(row['items'])} items, ${megabytes(Number(row['bytes']))} MB`,
  );
  return new StateTooLargeError(
    `The sessions and participants in ${words.place} need more memory than this process has (${megabytes(room)} MB ` +
      `can be used; ${owners.join('; ')}). Nothing was changed. Start with more memory, for example ` +
      'NODE_OPTIONS=--max-old-space-size=8192; or delete what an account has, while the gateway is down, with ' +
      `${words.deletion}. PATCHBAY_ACCOUNT_MEMORY_MB limits what one account may keep.`,
  );
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 1_000_000);
}

/** Part of the heap's limit that Node reserves for the young generation, where nothing can stay. */
const YOUNG_BYTES = 48 * 1_048_576;

/** Bytes that the stored state may take: half of the heap that is still free. */
export function roomForState(): number {
  const { heap_size_limit: limit, used_heap_size: used } = getHeapStatistics();
  return Math.max(0, limit - YOUNG_BYTES - used) / 2;
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

/** How a participant is stored. */
export function storedFrom({ publishPermissions, ...participant }: Participant): StoredParticipant {
  return {
    ...participant,
    publishPermissions: publishPermissions.map((type) => (type === 'audio' ? 'AUDIO' : 'VIDEO')),
  };
}
