import type {
  CoreStore,
  Participant,
  ResumePoint,
  Session,
  StoredResumePoint,
  StoredState,
} from '../core/index.js';
import { type Database, rows } from './database.js';
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

/** Reads what {@link CoreTables} is to give the core at its start. */
export async function loadCoreState(database: Database): Promise<StoredState> {
  const documents = async <T>(table: string) => {
    const found = await rows(database, `SELECT document FROM ${table} ORDER BY id`);
    return found.map((row) => JSON.parse(String(row['document'])) as T);
  };
  const points = await rows(database, 'SELECT * FROM resume_points ORDER BY saved');
  return {
    sessions: await documents<Session>('sessions'),
    participants: await documents<Participant>('participants'),
    resumePoints: points.map((row) => ({
      participantId: String(row['participant_id']),
      externalId: String(row['external_id']),
      point: JSON.parse(String(row['document'])) as ResumePoint,
    })),
  };
}

const NOTHING: StoredState = { sessions: [], participants: [], resumePoints: [] };

/** The core's state: read whole at a start, so each thing is one document. */
export class CoreTables implements CoreStore {
  #found: StoredState;
  readonly #queue: WriteQueue;

  constructor(found: StoredState, queue: WriteQueue) {
    this.#found = found;
    this.#queue = queue;
  }

  load(): StoredState {
    const found = this.#found;
    // From here on the core has it; two copies would be one too many.
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
    this.#queue.put(`participant ${participant.id}`, SAVE_PARTICIPANT, participant);
  }

  deleteParticipant(id: string): void {
    this.#queue.put(`participant ${id}`, DELETE_PARTICIPANT, { id });
    this.#queue.put(`resume ${id}`, DELETE_RESUME_POINTS, { participantId: id });
  }

  saveResumePoint({ participantId, externalId, point }: StoredResumePoint): void {
    const row = { participantId, externalId, saved: Date.now(), point };
    this.#queue.put(`resume ${participantId} ${externalId}`, SAVE_RESUME_POINT, row);
  }

  deleteResumePoint(participantId: string, externalId: string): void {
    const row = { participantId, externalId };
    this.#queue.put(`resume ${participantId} ${externalId}`, DELETE_RESUME_POINT, row);
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }
}
