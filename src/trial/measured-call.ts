import type { Core } from '../core/index.js';
import type { Leg } from './leg.js';
import { MAY_NOT_PUBLISH, NO_RTP, NO_SESSION, NOBODY_HEARS, NOT_HEARD, refusalProblem } from './problems.js';
import type { FinalAnswer } from './sip/index.js';
import type { Problem, TestCall, TestCallSound, TestCallState } from './types.js';

/** The part of the core that tells how a call fares. */
export type CoreView = Pick<Core, 'device' | 'participant' | 'tokenOf' | 'on'> & {
  readonly announcements: Pick<Core['announcements'], 'hearersOf'>;
};

/** Sound should have come by then; the gateway's own figures come every 5 s. */
const NO_RTP_MS = 4_000;
const NOT_HEARD_MS = 12_000;
/** A packet and what a jitter buffer holds back, at least. */
const PACKET_MS = 20;
const BUFFER_MS = 40;

type Facts = { -readonly [Name in keyof TestCall]?: TestCall[Name] };

/** What is known of one test call: written as it goes on, and read by REST at any time. */
export class MeasuredCall {
  readonly accountId: string;
  readonly testCallId: string;
  readonly #facts: Facts & Pick<TestCall, 'kind' | 'startedAt'>;
  readonly #core: CoreView;
  readonly #now: () => number;
  #state: TestCallState = 'calling';
  #leg: Leg | undefined;
  #dialledAt = 0;
  #answeredAt = 0;
  #problem: Problem | undefined;
  /** Stays, whatever is measured. */
  #isFixed = false;
  /** The call was connected to the core. */
  #hadDevice = false;

  constructor(
    {
      accountId,
      testCallId,
      ...facts
    }: { accountId: string; testCallId: string } & Facts & Pick<TestCall, 'kind' | 'startedAt'>,
    core: CoreView,
    now: () => number,
  ) {
    this.accountId = accountId;
    this.testCallId = testCallId;
    this.#facts = facts;
    this.#core = core;
    this.#now = now;
  }

  get state(): TestCallState {
    return this.#state;
  }

  get isOver(): boolean {
    return this.#state === 'ended' || this.#state === 'failed';
  }

  get view(): TestCall {
    const { testCallId } = this;
    return {
      testCallId,
      state: this.#state,
      ...this.#facts,
      ...(this.#problem && { problem: this.#problem }),
    };
  }

  /** Its SIP call is being placed; the figures are of this one from now on. */
  dialled(leg: Leg, participantId?: string): void {
    this.#leg = leg;
    this.#dialledAt = this.#now();
    this.#answeredAt = 0;
    this.#hadDevice = false;
    this.#problem = undefined;
    this.#facts.deviceId = leg.callId;
    this.#facts.codec = leg.phone.codec.name;
    if (participantId !== undefined) this.#facts.participantId = participantId;
  }

  answered(status: number): void {
    this.#answeredAt = this.#now();
    this.#state = 'answered';
    this.#facts.signalling = { status, answeredAfterMs: Math.round(this.#answeredAt - this.#dialledAt) };
  }

  refused(answer: FinalAnswer): void {
    this.notAnswered(answer);
    this.failed(refusalProblem(answer));
  }

  /** One SIP call of an application's was not answered; others may follow. */
  notAnswered(answer: FinalAnswer): void {
    this.#facts.signalling = { status: answer.status, reason: answer.reason };
    this.troubled(refusalProblem(answer));
  }

  troubled(problem: Problem): void {
    this.#problem = problem;
  }

  /** Its SIP call is over, but the application may go on. */
  legOver(): void {
    this.#leg = undefined;
  }

  /** It cannot go on. */
  failed(problem: Problem): void {
    this.#problem = problem;
    this.#isFixed = true;
    this.#state = 'failed';
    this.#facts.endedAt ??= Date.now();
  }

  /** It is over. @param problem why, if it should not be */
  ended(problem?: Problem): void {
    if (this.isOver) return;
    this.measure();
    if (problem) this.#problem = problem;
    this.#isFixed = true;
    this.#state = this.#problem && this.#facts.signalling?.answeredAfterMs === undefined ? 'failed' : 'ended';
    this.#facts.endedAt = Date.now();
  }

  belongsTo(participantId: string): void {
    this.#facts.participantId = participantId;
  }

  step(steps: TestCall['steps']): void {
    this.#facts.steps = steps!;
  }

  /** @returns whether something changed that readers should be told of at once */
  measure(): boolean {
    const leg = this.#leg;
    if (!leg || this.isOver || this.#answeredAt === 0) return false;
    const device = this.#deviceOf(this.#facts.participantId);
    // It was hung up, and the last figures stand.
    if (!device && this.#hadDevice) return false;
    this.#hadDevice = device !== undefined;
    const { heard, roundTripMs } = leg.phone;
    const received = soundOf(device);
    const heardBy = this.#heardBy(device);
    const before = [this.#problem?.code, this.#facts.toGateway?.heardBy, this.#facts.mos === undefined];
    this.#facts.fromGateway = heard;
    this.#facts.toGateway = { ...received, heardBy };
    if (roundTripMs !== undefined) {
      this.#facts.roundTripMs = rounded(roundTripMs);
      this.#facts.delayMs = rounded(roundTripMs / 2 + PACKET_MS + Math.max(BUFFER_MS, 2 * heard.jitterMs));
    }
    const scores = [heard.mos, received.mos].filter((mos) => mos !== undefined);
    if (scores.length > 0) this.#facts.mos = Math.min(...scores);
    if (!this.#isFixed) this.#problem = this.#problemNow();
    const after = [this.#problem?.code, heardBy, this.#facts.mos === undefined];
    return after.some((value, i) => value !== before[i]);
  }

  #deviceOf(participantId: string | undefined): Device {
    if (participantId === undefined || !this.#participant(participantId)) return undefined;
    const device = this.#core.device(this.accountId, participantId);
    return device?.info.externalId === this.#leg?.callId ? device : undefined;
  }

  #participant(participantId: string): ReturnType<CoreView['participant']> | undefined {
    try {
      return this.#core.participant(this.accountId, participantId);
    } catch {
      // It was deleted meanwhile: its call is being hung up.
      return undefined;
    }
  }

  #heardBy(device: Device): number {
    const { participantId } = this.#facts;
    const sessionId = participantId === undefined ? undefined : this.#participant(participantId)?.sessionId;
    if (sessionId === undefined) {
      delete this.#facts.sessionId;
      return 0;
    }
    this.#facts.sessionId = sessionId;
    const publishes = (device?.streams.length ?? 0) > 0;
    return publishes ? this.#core.announcements.hearersOf(participantId!, sessionId).length : 0;
  }

  #problemNow(): Problem | undefined {
    const { participantId, fromGateway, toGateway } = this.#facts;
    const sinceMs = this.#now() - this.#answeredAt;
    if (fromGateway?.packets === 0 && sinceMs > NO_RTP_MS) return NO_RTP;
    if (toGateway?.packets === 0 && sinceMs > NOT_HEARD_MS) return NOT_HEARD;
    const participant = participantId === undefined ? undefined : this.#participant(participantId);
    if (!participant) return undefined;
    if (participant.sessionId === undefined) return NO_SESSION;
    if (!participant.publishPermissions.includes('audio')) return MAY_NOT_PUBLISH;
    return toGateway?.heardBy === 0 ? NOBODY_HEARS : undefined;
  }
}

type Device = ReturnType<CoreView['device']>;

/** The call's sound, as the gateway measured it. */
function soundOf(device: Device): TestCallSound {
  const { packets, lost, jitterMs, levelDb, mos } = device?.quality?.received ?? {};
  const level = levelDb ?? device?.streams[0]?.levelDb;
  return {
    ...(packets !== undefined && { packets }),
    ...(lost !== undefined && { lost }),
    ...(jitterMs !== undefined && { jitterMs }),
    ...(level !== undefined && { levelDb: rounded(level) }),
    ...(mos !== undefined && { mos }),
  };
}

const rounded = (value: number): number => Math.round(value * 10) / 10;
