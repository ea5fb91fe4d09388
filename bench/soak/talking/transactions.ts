import type { HeardMessage } from '../../../test/support/sip-peer.js';

/** RFC 3261, section 17.1: time to the first retransmission, and the longest. */
const T1_MS = 500;
const T2_MS = 4000;
/** How long a request waits for its final answer: on a busy machine gateways start slowly. */
const PATIENCE_MS = 200_000;
/** A server that died after its 100 never answers: so long after that a phone gives up. */
const TRYING_MS = 10_000;

/** A refusal of a call, or no answer at all. */
export class NotAnswered extends Error {
  override readonly name = 'NotAnswered';

  constructor(
    readonly status: number,
    text: string,
  ) {
    super(text);
  }
}

interface Transaction {
  readonly isInvite: boolean;
  isTrying: boolean;
  readonly settle: (final: HeardMessage | Error) => void;
}

/** The requests of one phone that wait for their final answers. */
export class Transactions {
  /** By branch. */
  readonly #waiting = new Map<string, Transaction>();

  /**
   * Sends a request until it has an answer.
   * @param transmit sends it once
   * @param name of the request, for errors
   * @throws NotAnswered when no final answer comes
   */
  request(branch: string, method: string, transmit: () => void, name: string): Promise<HeardMessage> {
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const settle = (final: HeardMessage | Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(branch);
        if (final instanceof Error) reject(final);
        else resolve(final);
      };
      const transaction: Transaction = { isInvite: method === 'INVITE', isTrying: false, settle };
      this.#waiting.set(branch, transaction);
      const startedAt = performance.now();
      const send = (waitMs: number): void => {
        const waited = performance.now() - startedAt;
        if (waited > (transaction.isTrying ? TRYING_MS : PATIENCE_MS)) {
          settle(new NotAnswered(0, `${name}: no answer`));
          return;
        }
        if (!transaction.isTrying) transmit();
        timer = setTimeout(() => send(Math.min(2 * waitMs, T2_MS)), waitMs);
      };
      send(T1_MS);
    });
  }

  /** Takes a response. @returns whether it belongs to a request that waits */
  take(branch: string, response: HeardMessage): boolean {
    const transaction = this.#waiting.get(branch);
    if (!transaction) return false;
    if (response.status >= 200) transaction.settle(response);
    else if (transaction.isInvite) transaction.isTrying = true;
    return true;
  }
}
