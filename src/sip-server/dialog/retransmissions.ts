import { randomInt } from 'node:crypto';
import type { SipResponse } from '../message/message.js';
import { TRANSACTION_TIMEOUT, T1, T2, Timers } from '../transaction/timing.js';

/** A RAck value: names the provisional response that a PRACK acknowledges. */
interface Rack {
  readonly sequence: number;
  readonly cseq: number;
  readonly method: string;
}

/** Reads a RAck value (RFC 3262 section 7.2). Ignores what follows the method, as sofia-sip does. */
export function readRack(value: string): Rack | undefined {
  const match = /^(\d{1,10})\s+(\d{1,10})\s+(\S+)(?:\s|$)/.exec(value);
  return match ? { sequence: Number(match[1]), cseq: Number(match[2]), method: match[3]! } : undefined;
}

/**
 * The reliable provisional responses to one INVITE (RFC 3262 section 3): one at a time, retransmitted until its
 * PRACK.
 */
export class ReliableProvisionals {
  readonly #cseq: number;
  readonly #transmit: (response: SipResponse) => void;
  readonly #gaveUp: () => void;
  readonly #timers = new Timers<'repeat' | 'give up'>();
  readonly #waiting: (() => void)[] = [];
  #sequence = randomInt(1, 2 ** 16);
  #outstanding: { readonly sequence: number; readonly hasSdp: boolean } | undefined;

  /** `cseq` is the INVITE's; `gaveUp` is called when no PRACK comes. */
  constructor(cseq: number, transmit: (response: SipResponse) => void, gaveUp: () => void) {
    this.#cseq = cseq;
    this.#transmit = transmit;
    this.#gaveUp = gaveUp;
  }

  /** Whether a response must wait for a PRACK: a reliable one after another, or a 2xx after one with SDP. */
  blocks(status: number, reliable: boolean): boolean {
    if (!this.#outstanding) return false;
    return reliable || (status >= 200 && status < 300 && this.#outstanding.hasSdp);
  }

  /** Runs `send` after the PRACK that it must wait for. */
  defer(send: () => void): void {
    this.#waiting.push(send);
  }

  /** Sets the RSeq of a response that is about to be sent, and retransmits it from then on. */
  begin(response: SipResponse): void {
    const sequence = ++this.#sequence;
    response.headers.set('RSeq', String(sequence));
    this.#outstanding = { sequence, hasSdp: response.body.length > 0 };
    this.#timers.set('give up', TRANSACTION_TIMEOUT, () => {
      this.stop();
      this.#gaveUp();
    });
    this.#repeat(response, T1);
  }

  /** Takes a PRACK. Returns false if it matches no response. */
  acknowledge({ sequence, cseq, method }: Rack): boolean {
    if (this.#outstanding?.sequence !== sequence || cseq !== this.#cseq || method !== 'INVITE') return false;
    this.#outstanding = undefined;
    this.#timers.clearAll();
    return true;
  }

  /** The PRACK has been answered: sends the next waiting response. */
  release(): void {
    if (!this.#outstanding) this.#waiting.shift()?.();
  }

  stop(): void {
    this.#timers.clearAll();
    this.#outstanding = undefined;
    this.#waiting.length = 0;
  }

  #repeat(response: SipResponse, interval: number): void {
    this.#timers.set('repeat', interval, () => {
      this.#transmit(response);
      this.#repeat(response, interval * 2);
    });
  }
}

/**
 * A 2xx to an INVITE, retransmitted until its ACK (RFC 3261 section 13.3.1.4). The core retransmits on every
 * transport: a later hop may be UDP.
 */
export class Unacknowledged2xx {
  readonly sequence: number;
  readonly response: SipResponse;
  readonly #timers = new Timers<'repeat' | 'give up'>();
  readonly #resend: () => void;

  constructor(sequence: number, response: SipResponse, resend: () => void, gaveUp: () => void) {
    this.sequence = sequence;
    this.response = response;
    this.#resend = resend;
    this.#timers.set('give up', TRANSACTION_TIMEOUT, () => {
      this.stop();
      gaveUp();
    });
    this.#repeat(T1);
  }

  /** Retransmits it now. */
  again(): void {
    this.#resend();
  }

  /** The ACK came, or is no longer awaited. */
  stop(): void {
    this.#timers.clearAll();
  }

  #repeat(interval: number): void {
    this.#timers.set('repeat', interval, () => {
      this.#resend();
      this.#repeat(Math.min(interval * 2, T2));
    });
  }
}
