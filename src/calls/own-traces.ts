import type { CallTrace, DeviceInfo, EndReason } from '../core/index.js';
import { sipTokenMask } from '../shared/index.js';
import { ladder } from './ladder.js';
import type { TraceRing } from './trace-ring.js';

interface OwnTracesOptions {
  readonly ring: TraceRing;
  /** Headers that carry a token, beside the known ones. */
  readonly tokenHeaders: readonly string[];
}

type Device = Pick<DeviceInfo, 'kind' | 'externalId'>;

/** How calls end that are worth looking into later. */
const FAILURES: ReadonlySet<string> = new Set<EndReason>(['lost', 'media-timeout', 'error']);

/**
 * The SIP messages of this gateway's own calls: learns from its devices whose each call is and how it went, and shows the
 * messages as an account may see them.
 */
export class OwnTraces {
  readonly #ring: TraceRing;
  readonly #mask: (text: string) => string;

  constructor({ ring, tokenHeaders }: OwnTracesOptions) {
    this.#ring = ring;
    this.#mask = sipTokenMask(tokenHeaders);
  }

  connected({ kind, externalId }: Device, accountId: string): void {
    if (kind === 'phone') this.#ring.claim(externalId, accountId, 'answered');
  }

  carriedOver({ kind, externalId }: Device, accountId: string): void {
    if (kind === 'phone') this.#ring.goOn(externalId, accountId);
  }

  left({ kind, externalId }: Device, accountId: string, reason: string): void {
    if (kind === 'phone' && FAILURES.has(reason)) this.#ring.claim(externalId, accountId, 'failed');
  }

  callFailed({ kind, externalId }: Device, accountId: string): void {
    if (kind === 'phone') this.#ring.claim(externalId, accountId, 'failed');
  }

  /** @returns undefined when nothing is kept of an account's call */
  of(accountId: string, externalId: string): CallTrace | undefined {
    const kept = this.#ring.messages(accountId, externalId);
    return kept && { messages: ladder(kept.messages, this.#mask), left: kept.left };
  }

  /** Forgets an account's call. @returns whether there was something */
  delete(accountId: string, externalId: string): boolean {
    return this.#ring.delete(accountId, externalId);
  }
}
