import { PatchbayError } from './errors.js';
import type { Limits } from './rules.js';
import type { ParticipantSubscription, Participant, ResumePoint, Session } from './types.js';

/** Bytes of an object with its id and its entries in tables, measured on Node 20 and rounded up. */
const SESSION_BYTES = 320;
const PARTICIPANT_BYTES = 640;
const SUBSCRIPTION_BYTES = 64;
const WAITING_BYTES = 160;
const RESUME_POINT_BYTES = 384;
const TEXT_BYTES = 24;
/** An account may always hold this fraction (1/64) of the process's limit, even if others use up the rest. */
const SHARE = 64;
/** For that, all accounts together may exceed the limit, up to this multiple of it. */
const OVER = 1.25;

/** Bytes that a session takes, estimated by the length of its texts. */
export function sessionBytes({ tag, waitingMusic }: Session): number {
  return (
    SESSION_BYTES + textBytes(tag) + (waitingMusic ? WAITING_BYTES + textBytes(waitingMusic.mediaUrl) : 0)
  );
}

/** Bytes that a participant takes, with its membership and subscriptions, estimated by the length of its texts. */
export function participantBytes({ tag, callbackUrl, subscriptions }: Participant): number {
  let bytes = PARTICIPANT_BYTES + textBytes(tag) + textBytes(callbackUrl);
  for (const entry of subscriptions.participants ?? []) bytes += entryBytes(entry);
  return bytes;
}

/** Bytes that a resume point takes. */
export function resumePointBytes(externalId: string, { layout }: ResumePoint): number {
  return RESUME_POINT_BYTES + textBytes(externalId) + 8 * layout.length;
}

function entryBytes({ participantId, streamAliases = [] }: ParticipantSubscription): number {
  let bytes = SUBSCRIPTION_BYTES + textBytes(participantId);
  for (const alias of streamAliases) bytes += textBytes(alias);
  return bytes;
}

/** A character takes one byte in texts without any beyond Latin-1, else two. */
function textBytes(text: string | undefined): number {
  if (text === undefined) return 0;
  return TEXT_BYTES + (Buffer.byteLength(text) === text.length ? text.length : 2 * text.length);
}

/**
 * Counts the bytes that the core keeps, in all and for each account, and refuses what exceeds the limits. The bytes are
 * estimates: of the JavaScript objects, not of the process.
 */
export class Memory {
  readonly #limits: Pick<Limits, 'bytes' | 'bytesPerAccount'>;
  readonly #byAccount = new Map<string, number>();
  #bytes = 0;
  #refused = 0;

  constructor(limits: Pick<Limits, 'bytes' | 'bytesPerAccount'>) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many changes were refused for their bytes. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Counts that something of an account grows or shrinks. Shrinking is always allowed.
   * @throws PatchbayError TOO_MANY_REQUESTS when the account would exceed its limit, OVERLOADED when the process would
   */
  change(accountId: string, before: number, after: number): void {
    const reason = this.#refusal(accountId, after - before);
    if (reason) {
      this.#refused += 1;
      throw reason;
    }
    this.count(accountId, after - before);
  }

  /** As {@link change}, for what need not be kept. @returns whether there was room, and it was counted */
  tryChange(accountId: string, before: number, after: number): boolean {
    const refused = this.#refusal(accountId, after - before) !== undefined;
    if (refused) this.#refused += 1;
    else this.count(accountId, after - before);
    return !refused;
  }

  /** Counts without a check: for what is loaded at the start and for what is deleted. */
  count(accountId: string, bytes: number): void {
    this.#bytes += bytes;
    const held = this.#of(accountId) + bytes;
    if (held === 0) this.#byAccount.delete(accountId);
    else this.#byAccount.set(accountId, held);
  }

  #refusal(accountId: string, more: number): PatchbayError | undefined {
    if (more <= 0) return undefined;
    const held = this.#of(accountId) + more;
    if (held > this.#limits.bytesPerAccount) {
      return new PatchbayError(
        'PATCHBAY_TOO_MANY_REQUESTS',
        'The account keeps too much: delete sessions, participants or subscriptions first.',
      );
    }
    const all = this.#bytes + more;
    // If the process is full, an account can still use its share.
    const own = held <= this.#limits.bytes / SHARE && all <= OVER * this.#limits.bytes;
    if (all <= this.#limits.bytes || own) return undefined;
    return new PatchbayError('PATCHBAY_OVERLOADED', 'The gateway has no memory left for this now.');
  }

  #of(accountId: string): number {
    return this.#byAccount.get(accountId) ?? 0;
  }
}
