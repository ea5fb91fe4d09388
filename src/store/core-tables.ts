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

const SAVE_SESSION = 'INSERT OR REPLACE INTO sessions (id, document) VALUES (?, ?)';
const DELETE_SESSION = 'DELETE FROM sessions WHERE id = ?';
const SAVE_PARTICIPANT = 'INSERT OR REPLACE INTO participants (id, document) VALUES (?, ?)';
const DELETE_PARTICIPANT = 'DELETE FROM participants WHERE id = ?';
const SAVE_RESUME_POINT = `INSERT OR REPLACE INTO resume_points (participant_id, external_id, saved, document)
  VALUES (?, ?, ?, ?)`;
const DELETE_RESUME_POINT = 'DELETE FROM resume_points WHERE participant_id = ? AND external_id = ?';
const DELETE_RESUME_POINTS = 'DELETE FROM resume_points WHERE participant_id = ?';

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
    this.#queue.put(`session ${session.id}`, SAVE_SESSION, [session.id, JSON.stringify(session)]);
  }

  deleteSession(sessionId: string): void {
    this.#queue.put(`session ${sessionId}`, DELETE_SESSION, [sessionId]);
  }

  saveParticipant(participant: Participant): void {
    const parameters = [participant.id, JSON.stringify(participant)];
    this.#queue.put(`participant ${participant.id}`, SAVE_PARTICIPANT, parameters);
  }

  deleteParticipant(participantId: string): void {
    this.#queue.put(`participant ${participantId}`, DELETE_PARTICIPANT, [participantId]);
    this.#queue.put(`resume ${participantId}`, DELETE_RESUME_POINTS, [participantId]);
  }

  saveResumePoint({ participantId, externalId, point }: StoredResumePoint): void {
    const parameters = [participantId, externalId, Date.now(), JSON.stringify(point)];
    this.#queue.put(`resume ${participantId} ${externalId}`, SAVE_RESUME_POINT, parameters);
  }

  deleteResumePoint(participantId: string, externalId: string): void {
    const parameters = [participantId, externalId];
    this.#queue.put(`resume ${participantId} ${externalId}`, DELETE_RESUME_POINT, parameters);
  }

  flush(): Promise<void> {
    return this.#queue.flush();
  }
}
