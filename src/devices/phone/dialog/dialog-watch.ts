import type { PhoneCall } from '../call.js';
import { finalResponse } from './offer-answer.js';
import { reasonHeader } from '../refusal.js';
import { sendForgottenBye, UNANSWERED_MS } from './bye.js';
import type { SipApplication, SipDialog } from '../sip.js';

const ASK_EVERY_MS = 10_000;
const FORGOTTEN = { Reason: reasonHeader(500, 'The SIP server lost the call.') };

/**
 * Asks a phone every 10 s whether it still has the call. Calls from before a loss of the connection to drachtio-server
 * need this: the server keeps their dialogs, but does not pass on the phone's BYE, which it answers with 481.
 */
export function watchDialog(call: PhoneCall, dialog: SipDialog, application: SipApplication): void {
  let timer: NodeJS.Timeout | undefined;
  const ask = async (): Promise<void> => {
    const state = await stateOf(dialog);
    if (call.ended) return;
    switch (state) {
      case 'alive':
      case 'unreachable':
        timer = setTimeout(() => void ask(), ASK_EVERY_MS);
        return;
      case 'over':
        call.vanished('left');
        return;
      case 'forgotten':
        // The SIP server was restarted: the phone may still have the call.
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

type DialogState =
  | 'alive'
  /** The phone has no such call. */
  | 'over'
  /** The SIP server has no such dialog. */
  | 'forgotten'
  /** The SIP server cannot be reached. */
  | 'unreachable';

async function stateOf(dialog: SipDialog): Promise<DialogState> {
  let limit: NodeJS.Timeout | undefined;
  const silence = new Promise<'unreachable'>((resolve) => {
    limit = setTimeout(() => resolve('unreachable'), UNANSWERED_MS);
  });
  try {
    const asked = finalResponse(dialog, { method: 'OPTIONS', headers: {} });
    // A phone that does not answer counts as alive here: the media plane notices that its media are missing.
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
