import type { EndReason } from '../core/types.js';

/** How a call went, by whose doing it was. */
export type OutcomeClass =
  /** It was answered and ended as somebody wanted it. */
  | 'success'
  /** The caller gave up before the answer. */
  | 'cancelled'
  /** The caller, its carrier or the application asked for what cannot be. */
  | 'client_error'
  /** The gateway or a server behind it failed. */
  | 'server_error';

/** A call that is over. */
export interface CallOutcome {
  readonly outcome: OutcomeClass;
  /** The SIP status of a refusal, or why an answered call ended. */
  readonly reason: string;
}

/** Is told how calls go, to be measured. */
export interface CallObserver {
  /** An INVITE got its 200. */
  answered(setupMs: number): void;
  /** Once for every INVITE outside of calls: refused, or answered and ended. */
  over(outcome: CallOutcome): void;
}

const CLASSES = {
  left: 'success',
  replaced: 'success',
  disconnected: 'success',
  'participant-deleted': 'success',
  'session-deleted': 'success',
  expired: 'success',
  'max-duration': 'success',
  'media-timeout': 'client_error',
  lost: 'server_error',
  shutdown: 'server_error',
  crashed: 'server_error',
  error: 'server_error',
} as const satisfies Record<EndReason, OutcomeClass>;

/** The outcome of a call that was answered. */
export function endedOutcome(reason: EndReason): CallOutcome {
  return { outcome: CLASSES[reason], reason };
}

/** The outcome of an INVITE that was refused with a status. */
export function refusedOutcome(status: number): CallOutcome {
  const reason = String(status);
  if (status === 487) return { outcome: 'cancelled', reason };
  const byGateway = status >= 500 && status < 600;
  return { outcome: byGateway ? 'server_error' : 'client_error', reason };
}
