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
