import type { CoreStore, StoredResumePoint } from './core-store.js';
import type { EndReason, ResumePoint } from './types.js';

/** Enough for the pages of one participant that may still come back; older ones are forgotten. */
const MAX_PER_PARTICIPANT = 4;

/** What devices that may come back need to be served again, oldest first for each participant. */
export class ResumePoints {
  readonly #byParticipant = new Map<string, Map<string, ResumePoint>>();
  readonly #store: CoreStore;

  constructor(store: CoreStore) {
    this.#store = store;
  }

  restore(stored: readonly StoredResumePoint[]): void {
    for (const { participantId, externalId, point } of stored) this.#of(participantId).set(externalId, point);
  }

  get(participantId: string, externalId: string): ResumePoint | undefined {
    return this.#byParticipant.get(participantId)?.get(externalId);
  }

  save(participantId: string, externalId: string, point: ResumePoint): void {
    const points = this.#of(participantId);
    points.delete(externalId);
    points.set(externalId, point);
    const oldest = points.keys().next();
    if (points.size > MAX_PER_PARTICIPANT && !oldest.done) this.forget(participantId, oldest.value);
    this.#store.saveResumePoint({ participantId, externalId, point });
  }

  forget(participantId: string, externalId: string): void {
    if (this.#byParticipant.get(participantId)?.delete(externalId)) {
      this.#store.deleteResumePoint(participantId, externalId);
    }
  }

  /** The store forgets them with the participant. */
  forgetAll(participantId: string): void {
    this.#byParticipant.delete(participantId);
  }

  #of(participantId: string): Map<string, ResumePoint> {
    const points = this.#byParticipant.get(participantId) ?? new Map<string, ResumePoint>();
    this.#byParticipant.set(participantId, points);
    return points;
  }
}

/** Whether a device that ended so may come back with the peer connections that it had. */
export function mayResume(reason: EndReason): boolean {
  switch (reason) {
    case 'lost':
    case 'media-timeout':
    case 'shutdown':
    case 'crashed':
    case 'error':
      return true;
    case 'left':
    case 'replaced':
    case 'disconnected':
    case 'participant-deleted':
    case 'session-deleted':
    case 'expired':
    case 'max-duration':
      return false;
  }
}
