import type { CoreStore, StoredResumePoint, StoredState } from './core-store.js';
import type { Participant, Session } from './types.js';

/** A store that lasts as long as the process: for tests and for trying things out. */
export class MemoryStore implements CoreStore {
  readonly #sessions = new Map<string, Session>();
  readonly #participants = new Map<string, Participant>();
  readonly #resumePoints = new Map<string, StoredResumePoint>();

  load(): StoredState {
    return {
      sessions: byId(this.#sessions.values()),
      participants: byId(this.#participants.values()),
      resumePoints: [...this.#resumePoints.values()],
    };
  }

  saveSession(session: Session): void {
    this.#sessions.set(session.id, session);
  }

  deleteSession(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  saveParticipant(participant: Participant): void {
    this.#participants.set(participant.id, participant);
  }

  deleteParticipant(participantId: string): void {
    this.#participants.delete(participantId);
    for (const [key, stored] of this.#resumePoints) {
      if (stored.participantId === participantId) this.#resumePoints.delete(key);
    }
  }

  saveResumePoint(stored: StoredResumePoint): void {
    this.#resumePoints.set(resumeKey(stored.participantId, stored.externalId), stored);
  }

  deleteResumePoint(participantId: string, externalId: string): void {
    this.#resumePoints.delete(resumeKey(participantId, externalId));
  }

  admitChange(): void {}

  admitConnection(): void {}

  flush(): Promise<void> {
    return Promise.resolve();
  }
}

function resumeKey(participantId: string, externalId: string): string {
  return JSON.stringify([participantId, externalId]);
}

function byId<T extends { readonly id: string }>(items: Iterable<T>): readonly T[] {
  return [...items].sort((a, b) => (a.id < b.id ? -1 : 1));
}
