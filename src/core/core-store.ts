import type { Participant, ResumePoint, Session } from './types.js';

/** The state that the core starts with. Sessions and participants are ordered by id, and so by age. */
export interface StoredState {
  readonly sessions: readonly Session[];
  readonly participants: readonly Participant[];
  readonly resumePoints: readonly StoredResumePoint[];
}

export interface StoredResumePoint {
  readonly participantId: string;
  /** See `DeviceInfo`. */
  readonly externalId: string;
  readonly point: ResumePoint;
}

/**
 * Where the core keeps what must survive a restart. Saving and deleting return at once, never throw, and take effect
 * in the order of the calls. They are on disk once a {@link flush} called after them has resolved.
 */
export interface CoreStore {
  /** Called once, at the core's start. */
  load(): StoredState;
  /** Adds a session, or replaces the one with the same id. */
  saveSession(session: Session): void;
  deleteSession(sessionId: string): void;
  /** Adds a participant with its membership and subscriptions, or replaces the one with the same id. */
  saveParticipant(participant: Participant): void;
  /** Deletes a participant and its resume points. */
  deleteParticipant(participantId: string): void;
  saveResumePoint(stored: StoredResumePoint): void;
  deleteResumePoint(participantId: string, externalId: string): void;
  /**
   * Called before a change that an application asks for.
   * @throws PatchbayError STORE_UNAVAILABLE while something saved before could not be written
   */
  admitChange(): void;
  /**
   * Called before a device is connected. Devices may connect while the disk fails, but not for ever.
   * @throws PatchbayError STORE_UNAVAILABLE when the writes that wait could exhaust the memory
   */
  admitConnection(): void;
  /** @throws PatchbayError STORE_FAILED, STORE_UNAVAILABLE when something could not be written */
  flush(): Promise<void>;
}

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
