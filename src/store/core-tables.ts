import type { CoreStore, Participant, Session, StoredResumePoint, StoredState } from '../core/index.js';
import { storedFrom } from './core-state.js';
import type { WriteQueue } from './write-queue.js';

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
    this.#queue.put(`session ${session.id}`, 'saveSession', session);
  }

  deleteSession(id: string): void {
    this.#queue.put(`session ${id}`, 'deleteSession', { id });
  }

  saveParticipant(participant: Participant): void {
    this.#queue.put(`participant ${participant.id}`, 'saveParticipant', storedFrom(participant));
  }

  deleteParticipant(id: string): void {
    this.#queue.put(`participant ${id}`, 'deleteParticipant', { id });
    this.#queue.put(`resume ${id}`, 'deleteResumePoints', { participantId: id });
  }

  saveResumePoint({ participantId, externalId, point }: StoredResumePoint): void {
    // Grows with each save, also when the machine's clock is set back.
    this.#saved = Math.max(this.#saved + 1, Date.now());
    const row = { participantId, externalId, saved: this.#saved, point };
    this.#queue.put(`resume ${participantId} ${externalId}`, 'saveResumePoint', row);
  }

  deleteResumePoint(participantId: string, externalId: string): void {
    const row = { participantId, externalId };
    this.#queue.put(`resume ${participantId} ${externalId}`, 'deleteResumePoint', row);
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
