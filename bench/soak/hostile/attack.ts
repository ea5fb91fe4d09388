import type { TestBrowser } from '../../../test/support/chromium.js';
import type { TestGateway } from '../../../test/support/gateway.js';
import type { Rest } from '../../../test/support/rest.js';

/** What attackers know: where the gateway is, and accounts of their own. */
export interface Target {
  readonly gateway: TestGateway;
  readonly rest: Rest;
  /** Of an account that is soon full: with it, the other attackers could not even begin. */
  readonly gluttonRest: Rest;
  /** For what only a page can do. */
  readonly chrome: TestBrowser;
  /** Where the gateway takes RTP, first and last port. */
  readonly rtpPorts: readonly [first: number, last: number];
  /** Those of phones of others that have sent, and go on sending, from where they said. */
  readonly talkersPorts: readonly number[];
}

/** One way to harm others, done again and again for the whole length of a run. */
export interface Attack {
  readonly name: string;
  /** Rest between two turns, in ms. */
  readonly everyMs: number;
  /**
   * Does it once. What the gateway refuses is no error.
   * @returns what the gateway let happen that it must not, in words; undefined when nothing
   */
  turn(target: Target): Promise<string | undefined>;
}

/** Attackers have addresses of their own, so that what counts for each address does not hit the others. */
export const address = (index: number): string => `127.0.1.${index + 1}`;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
