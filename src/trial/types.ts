/** What may be wrong with a test call. */
export type ProblemCode =
  | 'sip-unreachable'
  | 'no-answer'
  | 'refused'
  | 'no-rtp'
  | 'not-heard'
  | 'no-session'
  | 'may-not-publish'
  | 'nobody-hears'
  | 'ended-early'
  | 'application';

/** Something is wrong: what it is, and what to do about it, for people. */
export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
  readonly advice: string;
}

export type TestCallState = 'calling' | 'answered' | 'ended' | 'failed';

/** How the sound of one direction fared. */
export interface TestCallSound {
  /** Absent: not known, as by way of FreeSWITCH. */
  readonly packets?: number;
  readonly lost?: number;
  readonly jitterMs?: number;
  /** In dB relative to full scale. */
  readonly levelDb?: number;
  readonly mos?: number;
}

/** One step of a Voice API trial. */
export interface TrialStep {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly kind: 'request' | 'verb' | 'call' | 'note';
  /** One line, for people. */
  readonly text: string;
  readonly isFault?: true;
  /** Of a request to the application. */
  readonly method?: string;
  readonly url?: string;
  readonly event?: string;
  /** What was sent, as JSON. */
  readonly request?: string;
  readonly status?: number;
  /** The BXML that came. */
  readonly response?: string;
  /** Of a SIP call. */
  readonly deviceId?: string;
}

/** A test call and its result so far. Times are epoch milliseconds. */
export interface TestCall {
  readonly testCallId: string;
  readonly kind: 'participant' | 'application';
  readonly state: TestCallState;
  readonly participantId?: string;
  readonly sessionId?: string;
  /** The Call-ID of its SIP call. */
  readonly deviceId?: string;
  readonly codec?: string;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly signalling?: {
    readonly status: number;
    readonly reason?: string;
    readonly answeredAfterMs?: number;
  };
  /** Its sound, as it came to the gateway. */
  readonly toGateway?: TestCallSound & { readonly heardBy: number };
  /** The sound of the session, as it came back. */
  readonly fromGateway?: TestCallSound;
  readonly roundTripMs?: number;
  readonly delayMs?: number;
  readonly mos?: number;
  readonly problem?: Problem;
  readonly steps?: readonly TrialStep[];
}
