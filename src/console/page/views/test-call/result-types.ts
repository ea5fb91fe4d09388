/** What REST says of a test call, as far as the page shows it. */

interface Sound {
  readonly packets?: number;
  readonly lost?: number;
  readonly jitterMs?: number;
  readonly levelDb?: number;
  readonly mos?: number;
}

export interface Step {
  readonly at: string;
  readonly kind: 'request' | 'verb' | 'call' | 'note';
  readonly text: string;
  readonly isFault?: boolean;
  readonly method?: string;
  readonly url?: string;
  readonly request?: string;
  readonly response?: string;
  readonly deviceId?: string;
}

export interface TestCall {
  readonly testCallId: string;
  readonly kind: 'participant' | 'application';
  readonly state: 'calling' | 'answered' | 'ended' | 'failed';
  readonly participantId?: string;
  readonly sessionId?: string;
  readonly deviceId?: string;
  readonly codec?: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly signalling?: {
    readonly status: number;
    readonly answeredAfterMs?: number;
  };
  readonly toGateway?: Sound & { readonly heardBy: number };
  readonly fromGateway?: Sound;
  readonly roundTripMs?: number;
  readonly delayMs?: number;
  readonly mos?: number;
  readonly problem?: { readonly code: string; readonly message: string; readonly advice: string };
  readonly steps?: readonly Step[];
}

export const isUnderWay = ({ state }: TestCall): boolean => state === 'calling' || state === 'answered';

/** The opinion score in a word, by the bands of ITU-T G.107 annex B. */
export function scoreInWords(mos: number): string {
  if (mos >= 4) return 'good';
  if (mos >= 3.6) return 'fair';
  return mos >= 3.1 ? 'poor' : 'bad';
}

/** One line about a call, for the list and for screen readers. */
export function summaryOf({ kind, state, mos, problem }: TestCall): string {
  const what = kind === 'participant' ? 'Test call' : 'Trial of an application';
  if (state === 'calling') return kind === 'participant' ? 'Calling …' : 'The application is being tried …';
  const score = mos === undefined ? '' : `, ${scoreInWords(mos)} sound (MOS ${mos.toFixed(1)})`;
  if (state === 'answered') return `Answered${score}`;
  if (state === 'failed') return `${what} failed`;
  return problem && problem.code !== 'nobody-hears'
    ? `${what} ended: ${problem.message}`
    : `${what} ended${score}`;
}
