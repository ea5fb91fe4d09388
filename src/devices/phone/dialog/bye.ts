import { firstAddress } from '../caller.js';
import type { Log } from '../../../shared/index.js';
import type { CallLease } from '../options.js';
import type { Headers, SipApplication, SipDialog } from '../sip.js';

/**
 * Waits in ms between attempts to hand a BYE to the SIP server while the connection to it is down. The server itself
 * retransmits the BYE to the phone (RFC 3261 timer E).
 */
const RETRY_WAITS_MS = [500, 1000, 2000, 4000, 8000, 16_000];
/**
 * In ms. The SIP server ends a request after 32 s (RFC 3261 timer F): without a result by then, the connection to the
 * server was lost.
 */
export const UNANSWERED_MS = 35_000;

/** 64 times T1: for so long the SIP server retransmits a 200. */
const ACK_LIMIT_MS = 32_000;
/** In ms, enough for five 200s. Without an ACK or a packet of the phone by then, nobody is there. */
const SILENT_ACK_LIMIT_MS = 10_000;

/** A BYE that the phone has not got yet. */
export interface UnsentBye {
  readonly dialog: SipDialog;
  readonly headers: Headers;
  /** To be called when it need not be sent any more. */
  readonly over: () => void;
}

/** What a {@link ByeSender} needs from outside of its call. */
export interface ByeEvents {
  /** Waits so many ms, or until the SIP server can be reached again. */
  readonly pause: (ms: number) => Promise<void>;
  /** BYEs wait while it is not held. */
  readonly lease?: CallLease | undefined;
  /** Called for each BYE, with a promise that resolves when it is over; it never rejects. */
  readonly onBye: (bye: Promise<void>) => void;
  /** Called when a BYE could not be handed to the SIP server, and is to be sent later. */
  readonly onByeUnsent: (unsent: UnsentBye) => void;
  /** Called when the SIP server was unreachable and has lost the dialog of a BYE meanwhile. */
  readonly onByeForgotten: (unsent: UnsentBye) => void;
}

/** Sends the BYEs of one call. They wait for the ACK of our 200 (RFC 3261 section 15). */
export class ByeSender {
  readonly #events: ByeEvents;
  readonly #log: Log;
  /** Absent when no ACK is awaited. */
  #acknowledgement: Promise<void> | undefined;
  #isTakenOver = false;
  #mayBeUnknown = false;

  constructor(events: ByeEvents, log: Log) {
    this.#events = events;
    this.#log = log;
  }

  get awaitsAck(): boolean {
    return this.#acknowledgement !== undefined;
  }

  /**
   * Our 200 was sent: BYEs wait for its ACK, or until none can be expected any more.
   * @param onSilence called when neither an ACK nor a BYE came for 10 s
   */
  awaitAck(dialog: SipDialog, onSilence: () => void): void {
    const onAcknowledged = (): void => {
      this.#acknowledgement = undefined;
    };
    this.#acknowledgement = untilAck(dialog, { acknowledged: onAcknowledged, silent: onSilence });
  }

  /** The dialog is of another gateway's SIP server: this one may not know it, and is sent the BYE outside of dialogs then. */
  wasElsewhere(): void {
    this.#mayBeUnknown = true;
  }

  /** Another gateway has the call by now: BYEs that wait are not sent any more. */
  takenOver(): void {
    this.#isTakenOver = true;
  }

  /** @param over called when the BYE need not be sent any more, by nobody */
  send(dialog: SipDialog, headers: Headers, over: () => void = () => undefined): void {
    const { pause, lease, onBye, onByeUnsent, onByeForgotten } = this.#events;
    const send = async (): Promise<ByeOutcome> => {
      if (lease && !lease.isHeld) await lease.whenHeld();
      return this.#isTakenOver ? 'over' : sendBye(dialog, headers, { pause, wasAway: this.#mayBeUnknown });
    };
    const sent = this.#acknowledgement ? this.#acknowledgement.then(send) : send();
    const bye = sent.then(
      (outcome) => {
        if (outcome === 'forgotten') onByeForgotten({ dialog, headers, over });
        else over();
        if (outcome === 'unreachable') this.#log.warn({}, 'BYE could not be sent to where the phone is.');
      },
      (error: unknown) => {
        this.#log.warn({ err: error }, 'BYE could not be sent; it waits for the SIP server.');
        onByeUnsent({ dialog, headers, over });
      },
    );
    onBye(bye);
  }
}

interface ByeOptions {
  /** Waits so many ms, or until the SIP server can be reached again. */
  readonly pause: (ms: number) => Promise<void>;
  /** Whether the SIP server was unreachable before: it may have been restarted. */
  readonly wasAway?: boolean;
}

/** How a BYE ended. */
type ByeOutcome =
  /** The phone answered it or never will, or the phone's own BYE came first. */
  | 'over'
  /** The SIP server lost the dialog, which the phone may still have. */
  | 'forgotten'
  /** The SIP server cannot reach the phone's Contact. */
  | 'unreachable';

/**
 * Resolves when our 200 is acknowledged, or when no ACK can be expected any more.
 * @param on `acknowledged`: the ACK came, or the dialog ended. `silent`: neither happened for 10 s
 */
function untilAck(
  dialog: SipDialog,
  on: { readonly acknowledged: () => void; readonly silent: () => void },
): Promise<void> {
  return new Promise<void>((resolve) => {
    const limit = setTimeout(resolve, ACK_LIMIT_MS);
    const silence = setTimeout(on.silent, SILENT_ACK_LIMIT_MS);
    const settle = (): void => {
      clearTimeout(limit);
      clearTimeout(silence);
      on.acknowledged();
      resolve();
    };
    dialog.on('ack', settle);
    dialog.on('destroy', settle);
  });
}

/**
 * Sends BYE. Resolves when it is answered, or when the SIP server gives it up.
 * @throws Error when the SIP server cannot be reached for half a minute
 */
export async function sendBye(
  dialog: SipDialog,
  headers: Headers,
  { pause, wasAway = false }: ByeOptions,
): Promise<ByeOutcome> {
  let mayHaveForgotten = wasAway;
  for (const waitMs of [...RETRY_WAITS_MS, undefined]) {
    const error = await attempt(dialog, headers);
    if (error === undefined) return 'over';
    if (isForgotten(error)) return mayHaveForgotten ? 'forgotten' : 'over';
    mayHaveForgotten = true;
    if (waitMs === undefined && isRefused(error)) return 'unreachable';
    if (waitMs === undefined) throw error;
    await pause(waitMs);
  }
  return 'over';
}

/**
 * Sends BYE in a dialog that the SIP server has lost, as a request outside of dialogs with the dialog's headers.
 * @throws Error when the SIP server refuses the request
 */
export function sendForgottenBye(
  { req, sip }: SipDialog,
  headers: Headers,
  application: SipApplication,
): Promise<void> {
  const target = firstAddress(req.get('Contact') ?? '').uri;
  const route = req.get('Record-Route');
  const dialogHeaders = {
    'Call-ID': req.get('Call-ID') ?? '',
    From: `${req.get('To') ?? ''};tag=${sip.localTag}`,
    To: req.get('From') ?? '',
    ...(route !== undefined && { Route: route }),
  };
  return new Promise((resolve, reject) => {
    application.request(target, { method: 'BYE', headers: { ...headers, ...dialogHeaders } }, (error) => {
      if (error) reject(new Error('BYE could not be sent.', { cause: error }));
      else resolve();
    });
  });
}

function attempt(dialog: SipDialog, headers: Headers): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const limit = setTimeout(() => resolve(new Error('BYE was not answered.')), UNANSWERED_MS);
    dialog.destroy({ headers }, (error) => {
      clearTimeout(limit);
      if (error === null || error === undefined) resolve(undefined);
      else resolve(error instanceof Error ? error : new Error('BYE failed.', { cause: error }));
    });
  });
}

/** Whether the SIP server answered that it cannot send the request. */
export function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EDRACHTIO';
}

/** Whether the SIP server has lost the dialog. */
function isForgotten(error: Error): boolean {
  return 'code' in error && error.code === 'ENODIALOG';
}
