import { randomUUID } from 'node:crypto';
import { PatchbayError } from '../core/index.js';
import {
  type Clock,
  describeError,
  KeyedBuckets,
  type Log,
  systemClock,
  type Timer,
} from '../shared/index.js';
import { Leg, LegError, type LegOptions } from './leg.js';
import { type CoreView, MeasuredCall } from './measured-call.js';
import { endedEarly } from './problems.js';
import type { NewTestCall, TestCall } from './types.js';

/** Finished test calls of an account that are kept. */
const KEPT = 20;
/** Test calls that an account may begin: so many at once, and one every 5 s in the long run. */
const RATE = { burst: 10, perSecond: 0.2 };
const DEFAULT_SECONDS = 120;
const MEASURE_MS = 1_000;
const STOP_MS = 2_000;

interface TestCallsOptions extends Omit<LegOptions, 'clock'> {
  readonly core: CoreView;
  readonly clock?: Clock;
  readonly log: Log;
  /** Called whenever the state of a test call, or what is wrong with it, has changed. */
  readonly onChanged: (accountId: string, call: TestCall) => void;
}

/** A test call under way. */
interface Running {
  readonly call: MeasuredCall;
  /** When it has taken as long as it may. */
  readonly limit: Timer;
  readonly hangUp: () => Promise<void>;
}

/** The test calls of all accounts: one at a time for each, and the results of the last ones. In memory only. */
export class TestCalls {
  readonly #options: TestCallsOptions;
  readonly #clock: Clock;
  readonly #rate = new KeyedBuckets(RATE);
  /** By account. */
  readonly #running = new Map<string, Running>();
  /** By account, the newest last. */
  readonly #calls = new Map<string, MeasuredCall[]>();
  readonly #counts = { answered: 0, failed: 0, refused: 0 };
  #timer: Timer | undefined;
  #isStopping = false;

  constructor(options: TestCallsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Test calls since the start, by how they went, and those under way. `refused`: they were not begun. */
  counts(): {
    readonly running: number;
    readonly answered: number;
    readonly failed: number;
    readonly refused: number;
  } {
    return { running: this.#running.size, ...this.#counts };
  }

  /**
   * Begins to call a participant.
   * @throws PatchbayError BAD_REQUEST, PARTICIPANT_NOT_FOUND, TEST_CALL_RUNNING, TOO_MANY_REQUESTS, SHUTTING_DOWN
   */
  start(accountId: string, { participantId, seconds = DEFAULT_SECONDS }: NewTestCall): TestCall {
    if (participantId === undefined) {
      throw new PatchbayError('PATCHBAY_BAD_REQUEST', "body must have required property 'participantId'");
    }
    const { core } = this.#options;
    core.participant(accountId, participantId);
    this.#admit(accountId);
    const facts = { accountId, testCallId: randomUUID(), kind: 'participant', participantId } as const;
    const call = new MeasuredCall({ ...facts, startedAt: this.#clock.now() }, core, () =>
      this.#clock.monotonic(),
    );
    this.#begin(call, seconds, (over) => {
      const leg = this.#dial(call, participantId, over);
      return async () => (await leg)?.hangUp();
    });
    return call.view;
  }

  /** @throws PatchbayError NOT_FOUND */
  get(accountId: string, testCallId: string): TestCall {
    return this.#find(accountId, testCallId).view;
  }

  /** The newest first. */
  list(accountId: string): readonly TestCall[] {
    return (this.#calls.get(accountId) ?? []).map(({ view }) => view).reverse();
  }

  /** Hangs up; does nothing when it is over. @throws PatchbayError NOT_FOUND */
  async end(accountId: string, testCallId: string): Promise<void> {
    await this.#hangUp(accountId, this.#find(accountId, testCallId));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#timer?.cancel();
    const ends = [...this.#running.values()].map(({ call }) => this.#hangUp(call.accountId, call));
    let timer: Timer | undefined;
    const limit = new Promise<void>((resolve) => (timer = this.#clock.setTimeout(resolve, STOP_MS)));
    await Promise.race([Promise.allSettled(ends), limit]);
    timer?.cancel();
  }

  /** @throws PatchbayError TEST_CALL_RUNNING, TOO_MANY_REQUESTS, SHUTTING_DOWN */
  #admit(accountId: string): void {
    if (this.#isStopping) throw new PatchbayError('PATCHBAY_SHUTTING_DOWN', 'The gateway is stopping.');
    if (this.#running.has(accountId)) {
      this.#counts.refused += 1;
      throw new PatchbayError(
        'PATCHBAY_TEST_CALL_RUNNING',
        'The account has a test call already: hang it up (DELETE) or wait for its end.',
      );
    }
    if (this.#rate.take(accountId, this.#clock.monotonic())) return;
    this.#counts.refused += 1;
    throw new PatchbayError(
      'PATCHBAY_TOO_MANY_REQUESTS',
      'Too many test calls: an account may begin one every 5 s.',
    );
  }

  async #dial(call: MeasuredCall, participantId: string, onOver: () => void): Promise<Leg | undefined> {
    const { core, log } = this.#options;
    try {
      const leg = await Leg.dial(
        { ...this.#options, clock: this.#clock },
        {
          from: 'test-caller',
          displayName: 'Test call',
          userToUser: `${core.tokenOf(call.accountId, participantId)};encoding=jwt`,
          handlers: {
            onAnswered: (status) => {
              call.answered(status);
              call.measure();
              this.#counts.answered += 1;
              this.#changed(call);
            },
            onRefused: (answer) => {
              if (call.state === 'calling') call.refused(answer);
              onOver();
            },
            onHungUp: (reason) => {
              call.ended(endedEarly(reason));
              onOver();
            },
          },
        },
      );
      call.dialled(leg, participantId);
      return leg;
    } catch (error) {
      if (!(error instanceof LegError))
        log.error({ err: error, testCallId: call.testCallId }, 'a test call failed');
      call.failed(
        error instanceof LegError
          ? error.problem
          : { code: 'sip-unreachable', message: describeError(error), advice: 'See the log of the gateway.' },
      );
      onOver();
      return undefined;
    }
  }

  /** @param start starts it, and returns what hangs it up. It is to call `over` when it is over by itself. */
  #begin(call: MeasuredCall, seconds: number, start: (over: () => void) => () => Promise<void>): void {
    const { accountId } = call;
    this.#options.log.info({ account: accountId, ...idsOf(call.view), seconds }, 'a test call begins');
    const limit = this.#clock.setTimeout(() => void this.#hangUp(accountId, call), seconds * 1_000);
    const calls = this.#calls.get(accountId) ?? [];
    this.#calls.set(accountId, [...calls, call].slice(-KEPT));
    const running = { call, limit, hangUp: () => Promise.resolve() };
    this.#running.set(accountId, running);
    running.hangUp = start(() => this.#over(call));
    this.#measureSoon();
    this.#changed(call);
  }

  #over(call: MeasuredCall): void {
    const { accountId } = call;
    const running = this.#running.get(accountId);
    if (running?.call !== call) return;
    running.limit.cancel();
    this.#running.delete(accountId);
    if (call.state === 'failed') this.#counts.failed += 1;
    this.#changed(call);
    const { state, problem, signalling, mos } = call.view;
    const facts = { state, problem: problem?.code, status: signalling?.status, mos };
    this.#options.log.info({ account: accountId, ...idsOf(call.view), ...facts }, 'a test call is over');
  }

  async #hangUp(accountId: string, call: MeasuredCall): Promise<void> {
    const running = this.#running.get(accountId);
    if (running?.call !== call) return;
    call.ended();
    await running.hangUp();
    this.#over(call);
  }

  #find(accountId: string, testCallId: string): MeasuredCall {
    const found = this.#calls.get(accountId)?.find((call) => call.testCallId === testCallId);
    if (!found) throw new PatchbayError('PATCHBAY_NOT_FOUND', 'There is no such test call.');
    return found;
  }

  #measureSoon(): void {
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = undefined;
      for (const { call } of this.#running.values()) if (call.measure()) this.#changed(call);
      if (this.#running.size > 0 && !this.#isStopping) this.#measureSoon();
    }, MEASURE_MS);
  }

  #changed(call: MeasuredCall): void {
    this.#options.onChanged(call.accountId, call.view);
  }
}

const idsOf = ({ testCallId, participantId, deviceId }: TestCall): object => ({
  testCallId,
  participantId,
  callId: deviceId,
});
