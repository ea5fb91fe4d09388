import type { CoreStore, StoredResumePoint } from './core-store.js';
import { type Memory, resumePointBytes } from './memory.js';
import type { EndReason, Participant, ResumePoint } from './types.js';

type Owner = Pick<Participant, 'id' | 'accountId'>;

/** Enough for the pages of one participant that may still come back; older ones are forgotten. */
const MAX_PER_PARTICIPANT = 4;

/**
 * The resume points of devices that may come back; oldest first for each participant. One that exceeds its account's
 * limit is not kept: the page then starts over instead of resuming.
 */
export class ResumePoints {
  readonly #byParticipant = new Map<string, Map<string, ResumePoint>>();
  readonly #store: CoreStore;
  readonly #memory: Memory;

  constructor(store: CoreStore, memory: Memory) {
    this.#store = store;
    this.#memory = memory;
  }

  /** @param accountOf the account of a participant; undefined if that is gone, whose points are then deleted */
  restore(
    stored: readonly StoredResumePoint[],
    accountOf: (participantId: string) => string | undefined,
  ): void {
    for (const { participantId, externalId, point } of stored) {
      const accountId = accountOf(participantId);
      if (accountId === undefined) {
        this.#store.deleteResumePoint(participantId, externalId);
        continue;
      }
      this.#memory.count(accountId, resumePointBytes(externalId, point));
      this.#of(participantId).set(externalId, point);
    }
  }

  get(participantId: string, externalId: string): ResumePoint | undefined {
    return this.#byParticipant.get(participantId)?.get(externalId);
  }

  save(participant: Owner, externalId: string, point: ResumePoint): void {
    const { id, accountId } = participant;
    const before = this.get(id, externalId);
    const bytes = before ? resumePointBytes(externalId, before) : 0;
    if (!this.#memory.tryChange(accountId, bytes, resumePointBytes(externalId, point))) {
      this.forget(participant, externalId);
      return;
    }
    const points = this.#of(id);
    points.delete(externalId);
    points.set(externalId, point);
    const oldest = points.keys().next();
    if (points.size > MAX_PER_PARTICIPANT && !oldest.done) this.forget(participant, oldest.value);
    this.#store.saveResumePoint({ participantId: id, externalId, point });
  }

  forget({ id, accountId }: Owner, externalId: string): void {
    const points = this.#byParticipant.get(id);
    const point = points?.get(externalId);
    if (!points || !point) return;
    points.delete(externalId);
    if (points.size === 0) this.#byParticipant.delete(id);
    this.#memory.count(accountId, -resumePointBytes(externalId, point));
    this.#store.deleteResumePoint(id, externalId);
  }

  /** Leaves the store alone, which deletes them with the participant. */
  forgetAll({ id, accountId }: Owner): void {
    for (const [externalId, point] of this.#byParticipant.get(id) ?? []) {
      this.#memory.count(accountId, -resumePointBytes(externalId, point));
    }
    this.#byParticipant.delete(id);
  }

  #of(participantId: string): Map<string, ResumePoint> {
    const points = this.#byParticipant.get(participantId) ?? new Map<string, ResumePoint>();
    this.#byParticipant.set(participantId, points);
    return points;
  }
}

/** Whether a device whose connection ended for this reason may come back with the peer connections that it had. */
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
