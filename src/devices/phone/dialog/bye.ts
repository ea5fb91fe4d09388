import { firstAddress } from '../caller.js';
import type { Headers, SipApplication, SipDialog } from '../sip.js';

/**
 * Longest waits in ms between attempts to hand a BYE to the SIP server. Over the wire the server repeats it by itself
 * (RFC 3261 timer E); these are for the time that the connection to the server is away.
 */
const RETRY_WAITS_MS = [500, 1000, 2000, 4000, 8000, 16_000];
/**
 * The SIP server gives a request up after 32 s (RFC 3261 timer F): without a word by then, the connection to it went.
 * In ms.
 */
export const UNANSWERED_MS = 35_000;

/** 64 times T1: the SIP server repeats a 200 for so long. */
const ACK_LIMIT_MS = 32_000;
/** A call without ACK and without a packet of the phone is over for its media after five 200s: nobody is there. */
const SILENT_ACK_LIMIT_MS = 10_000;

interface ByeOptions {
  /** Waits so many ms, or until the SIP server can be reached again. */
  readonly pause: (ms: number) => Promise<void>;
  /** Whether the SIP server could not be reached before, so that it may have been restarted. */
  readonly wasAway?: boolean;
}

/** What became of a BYE. */
export type ByeOutcome =
  /** The phone answered it, or never will, or was faster with its own. */
  | 'over'
  /** The SIP server lost the dialog: the phone may well have it still. */
  | 'forgotten'
  /** The SIP server knows no way to where the phone said that it is. */
  | 'unreachable';

/**
 * Resolves when our 200 is acknowledged, or no ACK is to be expected any more: a BYE has to wait for that (RFC 3261
 * section 15).
 * @param on `acknowledged`: the ACK came, or the dialog ended. `silent`: neither has happened for 10 s
 */
export function untilAck(
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
 * Sends BYE; resolves when it is answered or given up by the SIP server.
 * @throws Error when the SIP server could not be reached for half a minute
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
 * Sends the BYE of a dialog that only we and the phone know, put together from what there is of it.
 * @throws Error when the SIP server does not take it
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
    const limit = setTimeout(() => resolve(new Error('BYE went unanswered.')), UNANSWERED_MS);
    dialog.destroy({ headers }, (error) => {
      clearTimeout(limit);
      if (error === null || error === undefined) resolve(undefined);
      else resolve(error instanceof Error ? error : new Error('BYE failed.', { cause: error }));
    });
  });
}

/** The SIP server took the request, and said that it cannot send it. */
export function isRefused(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EDRACHTIO';
}

/** The SIP server has no such dialog any more. */
function isForgotten(error: Error): boolean {
  return 'code' in error && error.code === 'ENODIALOG';
}
