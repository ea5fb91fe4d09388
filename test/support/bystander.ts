import type { TestGateway } from './gateway.js';
import { readMetrics } from './metrics.js';
import { OTHER_ACCOUNT, Rest } from './rest.js';
import { placeCall, type SippCall } from './sipp.js';
import type { ToneSocket } from './tone-socket.js';

export { OTHER_ACCOUNT, TWO_ACCOUNTS } from './rest.js';

const PACKET_MS = 20;
const HEARS = 440;
const SAYS = 700;
/** The gateway measures the delay of its event loop by a timer of 100 ms, due by whole milliseconds. */
const DELAY_TIMER_MS = 101;

/** How a bystander and the gateway's process were disturbed while something else was done. */
export interface Disturbance {
  readonly elapsedMs: number;
  /** Packets that the bystander did not get but, by the clock, should have. */
  readonly packetsLost: number;
  /** Longest time between two packets. */
  readonly longestGapMs: number;
  /** Longest delay of the gateway's event loop. */
  readonly longestBusyMs: number;
}

/**
 * Two phones of another account that talk to each other, to see whether what a test does to the gateway disturbs
 * them. Times on shared machines prove little by themselves: compare them with those of a bystander at an idle
 * gateway, measured in the same run.
 */
export class Bystander {
  readonly #gateway: TestGateway;
  readonly #calls: readonly [SippCall, SippCall];

  private constructor(gateway: TestGateway, calls: readonly [SippCall, SippCall]) {
    this.#gateway = gateway;
    this.#calls = calls;
  }

  /** Places both calls at a gateway with {@link TWO_ACCOUNTS}; resolves when they hear each other. */
  static async start(gateway: TestGateway, limitS = 120): Promise<Bystander> {
    const rest = new Rest(gateway, OTHER_ACCOUNT);
    const session = await rest.session();
    const call = async (tone: number): Promise<SippCall> => {
      const { token } = await rest.member(session);
      return placeCall({ sipPort: gateway.sipPort, token, tone, limitS });
    };
    const calls = [await call(SAYS), await call(HEARS)] as const;
    const bystander = new Bystander(gateway, calls);
    await bystander.stillHears();
    return bystander;
  }

  /** Where the gateway takes RTP of the two. */
  get rtpPorts(): number[] {
    return this.#calls.map(({ tones }) => tones.remote!.port);
  }

  /** Does the work, and measures over its whole length. Work that reads the metrics spoils `longestBusyMs`. */
  async during(work: () => Promise<unknown>): Promise<Disturbance> {
    // A reading resets the gauge of the delay.
    await readMetrics(this.#gateway);
    await this.#delayIsMeasured();
    const startedAt = performance.now();
    const packets = this.#listener.packets;
    this.#listener.resetLongestGap();
    await work();
    const elapsedMs = performance.now() - startedAt;
    const got = this.#listener.packets - packets;
    const longestGapMs = this.#listener.longestGapMs;
    // A gateway that was held up may answer before its timers run, by which it measures the delay.
    await this.#isAnswered();
    const after = await readMetrics(this.#gateway);
    return {
      elapsedMs,
      packetsLost: Math.max(0, Math.floor(elapsedMs / PACKET_MS) - got),
      longestGapMs,
      longestBusyMs: (after.get('nodejs_eventloop_lag_max_seconds') ?? Number.NaN) * 1000,
    };
  }

  /** Fails unless both phones hear each other now. */
  async stillHears(): Promise<void> {
    await Promise.all([this.#calls[0].tones.hears(HEARS), this.#calls[1].tones.hears(SAYS)]);
  }

  /** Both hang up. */
  async hangUp(): Promise<void> {
    await Promise.all(this.#calls.map((call) => call.hangUp()));
    await this.end();
  }

  /** Ends both phones without a BYE. */
  async end(): Promise<void> {
    await Promise.all(this.#calls.map((call) => call.end()));
  }

  /**
   * Waits until the gateway measures its delay again after a reading, which resets that. Node measures from one firing
   * of a timer to the next: a delay that begins before the first firing after a reset does not count.
   */
  async #delayIsMeasured(): Promise<void> {
    const resetAt = performance.now();
    while (performance.now() - resetAt < DELAY_TIMER_MS) await this.#isAnswered();
    // The event loop runs the timers that are due between two requests.
    await this.#isAnswered();
    await this.#isAnswered();
  }

  async #isAnswered(): Promise<void> {
    await (await fetch(`${this.#gateway.httpUrl}/healthz`)).text();
  }

  get #listener(): ToneSocket {
    return this.#calls[1].tones;
  }
}
