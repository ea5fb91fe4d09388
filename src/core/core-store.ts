import type { Participant, ResumePoint, Session } from './types.js';

/** What the core finds at its start. Sessions and participants are ordered by id, which is their age. */
export interface StoredState {
  readonly sessions: readonly Session[];
  readonly participants: readonly Participant[];
  readonly resumePoints: readonly StoredResumePoint[];
}

export interface StoredResumePoint {
  readonly participantId: string;
  /** The id that the device names itself by. */
  readonly externalId: string;
  readonly point: ResumePoint;
}

/**
 * Where the core keeps what must survive it. Saving and deleting return at once, never throw, and take effect
 * in their order; what they did is on disk when a {@link flush} called after them has resolved.
 */
export interface CoreStore {
  /** Called once, at the core's start. */
  load(): StoredState;
  /** Keeps a session, in place of the one with its id. */
  saveSession(session: Session): void;
  deleteSession(sessionId: string): void;
  /** Keeps a participant, with its membership and subscriptions, in place of the one with its id. */
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
   * Called before a device is connected, which must not fail for a disk that does for a while.
   * @throws PatchbayError STORE_UNAVAILABLE when so much waits to be written that memory is to be feared for
   */
  admitConnection(): void;
  /** @throws PatchbayError STORE_FAILED, STORE_UNAVAILABLE when something could not be written */
  flush(): Promise<void>;
}
