import type { Headers, SipDialog } from '../sip.js';

/**
 * Waits in ms between attempts to hand a BYE to the SIP server. Over the wire the server repeats it by itself
 * (RFC 3261 timer E); these are for the time that the connection to the server is away.
 */
const RETRY_WAITS_MS = [500, 1000, 2000, 4000, 8000, 16_000];

/**
 * Sends BYE; resolves when it is answered or given up by the SIP server.
 * @throws Error when the SIP server could not be reached for half a minute
 */
export async function sendBye(dialog: SipDialog, headers: Headers): Promise<void> {
  for (const waitMs of [...RETRY_WAITS_MS, undefined]) {
    const error = await attempt(dialog, headers);
    if (error === undefined || isForgotten(error)) return;
    if (waitMs === undefined) throw error;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

function attempt(dialog: SipDialog, headers: Headers): Promise<Error | undefined> {
  return new Promise((resolve) => {
    dialog.destroy({ headers }, (error) => {
      if (error === null || error === undefined) resolve(undefined);
      else resolve(error instanceof Error ? error : new Error('BYE failed.', { cause: error }));
    });
  });
}

/** The SIP server has no such dialog any more: the phone's own BYE was faster. */
function isForgotten(error: Error): boolean {
  return 'code' in error && error.code === 'ENODIALOG';
}
