import type { TestBrowser } from '../../../test/support/chromium.js';
import type { TestGateway } from '../../../test/support/gateway.js';
import type { Rest } from '../../../test/support/rest.js';

/** What attackers know: the addresses of the gateway, and their own accounts. */
export interface Target {
  readonly gateway: TestGateway;
  readonly rest: Rest;
  /** An account that is soon full; the other attackers need one that is not. */
  readonly gluttonRest: Rest;
  /** For attacks that need a real page. */
  readonly chrome: TestBrowser;
  /** The gateway's RTP ports, first and last. */
  readonly rtpPorts: readonly [first: number, last: number];
  /** RTP ports of other phones that have sent, and keep sending, from their announced address. */
  readonly talkersPorts: readonly number[];
}

/** One way to harm others, repeated during the whole run. */
export interface Attack {
  readonly name: string;
  /** Pause between two turns, in ms. */
  readonly everyMs: number;
  /**
   * Does it once. A refusal by the gateway is no error.
   * @returns what the gateway failed to prevent, for people; undefined if nothing
   */
  turn(target: Target): Promise<string | undefined>;
}

/** Attackers have their own addresses, so that limits for each address do not affect others. */
export const address = (index: number): string => `127.0.1.${index + 1}`;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
