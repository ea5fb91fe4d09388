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
import {
  ApplicationClient,
  ApplicationTrial,
  type LoadedSound,
  type NewApplicationTrial,
  type RequestGuard,
} from './application/index.js';
import { Leg, LegError, type LegOptions } from './leg.js';
import { type CoreView, MeasuredCall } from './measured-call.js';
import { endedEarly } from './problems.js';
import type { TestCall } from './types.js';

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
  /** Whether applications may be tried. */
  readonly triesApplications: boolean;
  readonly guard: RequestGuard;
  /** @throws Error whose message says why it cannot be played */
  readonly loadSound: (accountId: string, url: string) => Promise<LoadedSound>;
}

interface NewTestCall extends NewApplicationTrial {
  readonly participantId?: string | undefined;
  readonly seconds?: number | undefined;
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
  readonly #client: ApplicationClient;
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
    this.#client = new ApplicationClient(options.guard);
    // Whose token an application has given is known by the call that came of it.
    options.core.on('connected', ({ device, participant }) => {
      if (!device.test) return;
      const call = this.#running.get(participant.accountId)?.call;
      if (call?.view.deviceId === device.externalId) call.belongsTo(participant.id);
    });
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
   * Begins to call a participant, or to try an application.
   * @throws PatchbayError BAD_REQUEST, FORBIDDEN, PARTICIPANT_NOT_FOUND, TEST_CALL_RUNNING, TOO_MANY_REQUESTS,
   * SHUTTING_DOWN
   */
  start(
    accountId: string,
    { participantId, seconds = DEFAULT_SECONDS, ...application }: NewTestCall,
  ): TestCall {
    const { answerUrl, bxml } = application;
    if ([participantId, answerUrl, bxml].filter((one) => one !== undefined).length !== 1) {
      throw new PatchbayError('PATCHBAY_BAD_REQUEST', 'Give one of participantId, answerUrl and bxml.');
    }
    const { core, triesApplications } = this.#options;
    if (participantId !== undefined) core.participant(accountId, participantId);
    else if (!triesApplications) {
      throw new PatchbayError(
        'PATCHBAY_FORBIDDEN',
        'This gateway tries no applications: its operator may set PATCHBAY_VOICE_API_TRIAL=on.',
      );
    }
    this.#admit(accountId);
    const kind = participantId === undefined ? 'application' : 'participant';
    const facts = { accountId, testCallId: randomUUID(), kind, startedAt: this.#clock.now() } as const;
    const call = new MeasuredCall(
      { ...facts, ...(participantId !== undefined && { participantId }) },
      core,
      () => this.#clock.monotonic(),
    );
    this.#begin(call, seconds, (over) => {
      if (participantId === undefined) return this.#try(call, application, over);
      const leg = this.#dial(call, participantId, over);
      return async () => (await leg)?.hangUp();
    });
    return call.view;
  }

  #try(call: MeasuredCall, application: NewApplicationTrial, over: () => void): () => Promise<void> {
    const { loadSound } = this.#options;
    const trial = new ApplicationTrial(application, {
      call,
      client: this.#client,
      clock: this.#clock,
      loadSound,
      dial: (dial) => Leg.dial({ ...this.#options, clock: this.#clock }, dial),
      onStep: () => this.#changed(call),
    });
    void trial.over.then(() => {
      if (call.view.signalling?.answeredAfterMs !== undefined) this.#counts.answered += 1;
      over();
    });
    return () => trial.hangUp();
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
    await this.#client.stop();
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
    // The end of an application's trial has steps of its own.
    if (call.view.kind === 'participant') call.ended();
    else call.measure();
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
