import { randomUUID } from 'node:crypto';

/** How a call ended, as the Voice API's events say. */
export type Cause =
  'hangup' | 'busy' | 'timeout' | 'cancel' | 'rejected' | 'callback-error' | 'invalid-bxml' | 'error';

/** What an application is tried with. */
interface VoiceCallFacts {
  readonly accountId: string;
  readonly applicationId: string;
  readonly from: string;
  readonly to: string;
  readonly direction: 'inbound' | 'outbound';
  /** Where the application finds the call by REST. */
  readonly voiceApiUrl: string;
  readonly callId: string;
}

const iso = (epochMs: number): string => new Date(epochMs).toISOString();

/** One leg as the Voice API describes it in its events (JSON). */
export class VoiceCall {
  readonly #facts: VoiceCallFacts;
  readonly #now: () => number;
  readonly #startedAt: number;
  /** Present in all events, from the moment that it is known. */
  answeredAt: number | undefined;
  /** Set by the attribute or verb `tag`; empty: none. */
  tag = '';
  readonly #more: object;

  constructor(facts: VoiceCallFacts, now: () => number, more: object = {}) {
    this.#facts = facts;
    this.#now = now;
    this.#startedAt = now();
    this.#more = more;
  }

  get callId(): string {
    return this.#facts.callId;
  }

  get from(): string {
    return this.#facts.from;
  }

  /** The leg that a `<Transfer>` of this one makes. */
  transferred(to: string, from: string, tag: string): VoiceCall {
    const facts = { ...this.#facts, to, from, direction: 'outbound', callId: `c-${randomUUID()}` } as const;
    const leg = new VoiceCall(facts, this.#now, { parentCallId: this.callId });
    leg.tag = tag;
    return leg;
  }

  event(eventType: string, more: object = {}): object {
    const { accountId, applicationId, from, to, direction, voiceApiUrl, callId } = this.#facts;
    return {
      eventType,
      eventTime: iso(this.#now()),
      accountId,
      applicationId,
      from,
      to,
      direction,
      callId,
      callUrl: `${voiceApiUrl}/api/v2/accounts/${accountId}/calls/${callId}`,
      ...(direction === 'outbound' && { enqueuedTime: iso(this.#startedAt) }),
      startTime: iso(this.#startedAt),
      ...(this.answeredAt !== undefined && { answerTime: iso(this.answeredAt) }),
      ...this.#more,
      ...(this.tag !== '' && { tag: this.tag }),
      ...more,
    };
  }

  /** An event about its end. */
  over(eventType: string, cause: Cause, more: object = {}): object {
    return this.event(eventType, { endTime: iso(this.#now()), cause, ...more });
  }
}

/** The cause of a SIP call that was not answered. */
export function causeOf(status: number): Cause {
  if (status === 486 || status === 600) return 'busy';
  if (status === 408 || status === 480) return 'timeout';
  return status === 487 ? 'cancel' : 'rejected';
}
