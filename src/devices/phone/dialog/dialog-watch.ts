import type { PhoneCall } from '../call.js';
import { finalResponse } from './offer-answer.js';
import { reasonHeader } from '../refusal.js';
import { sendForgottenBye, UNANSWERED_MS } from './bye.js';
import type { SipApplication, SipDialog } from '../sip.js';

const ASK_EVERY_MS = 10_000;
const FORGOTTEN = { Reason: reasonHeader(500, 'The SIP server lost the call.') };

/**
 * Asks a phone now and then whether it still has the call. Needed for calls from before a loss of the connection to
 * drachtio-server, which keeps such a call's dialog but has nobody to bring the phone's BYE to: it answers 481.
 */
export function watchDialog(call: PhoneCall, dialog: SipDialog, application: SipApplication): void {
  let timer: NodeJS.Timeout | undefined;
  const ask = async (): Promise<void> => {
    const standing = await standingOf(dialog);
    if (call.ended) return;
    switch (standing) {
      case 'alive':
      case 'unreachable':
        timer = setTimeout(() => void ask(), ASK_EVERY_MS);
        return;
      case 'over':
        call.vanished('left');
        return;
      case 'forgotten':
        // A server that was restarted: the phone may well be there still.
        sendForgottenBye(dialog, FORGOTTEN, application).catch((error: unknown) =>
          call.log.warn({ err: error }, 'BYE could not be sent.'),
        );
        call.vanished('lost');
        return;
    }
  };
  call.atEnd(() => clearTimeout(timer));
  void ask();
}

type Standing =
  | 'alive'
  /** The phone has no such call. */
  | 'over'
  /** The SIP server has no such dialog. */
  | 'forgotten'
  /** The SIP server is away. */
  | 'unreachable';

async function standingOf(dialog: SipDialog): Promise<Standing> {
  let limit: NodeJS.Timeout | undefined;
  const silence = new Promise<'unreachable'>((resolve) => {
    limit = setTimeout(() => resolve('unreachable'), UNANSWERED_MS);
  });
  try {
    const asked = finalResponse(dialog, { method: 'OPTIONS', headers: {} });
    // A phone that does not answer at all is found out by its missing media.
    return await Promise.race([asked.then(({ status }) => (status === 481 ? 'over' : 'alive')), silence]);
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    return cause instanceof Error && 'code' in cause && cause.code === 'ENODIALOG'
      ? 'forgotten'
      : 'unreachable';
  } finally {
    clearTimeout(limit);
  }
}
