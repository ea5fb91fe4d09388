/** The one table of words on why a call ended, or never began: for REST and the console. docs/phones.md has the statuses. */
import type { EndReason } from '../core/index.js';

/** Why, and what to do about it where something can be done. */
type Words = readonly [why: string, whatToDo?: string];

const ENDED: Readonly<Record<EndReason, Words>> = {
  left: ['The caller hung up, or the page or program left.'],
  lost: [
    'The connection was lost and did not come back in time.',
    'Look at the network of the device, and at the log for its id.',
  ],
  'media-timeout': [
    'No sound came from the phone any more, so the gateway hung up.',
    'Look at the firewall, NAT and public address (docs/debugging.md, step 4), or raise PATCHBAY_MEDIA_TIMEOUT.',
  ],
  replaced: ['Another device connected with the same token and took its place.'],
  disconnected: ['The application disconnected it.'],
  'participant-deleted': ['The application deleted the participant.'],
  'session-deleted': ['The application deleted the session.'],
  expired: [
    'The participant or its session expired.',
    'Raise PATCHBAY_SESSION_HOURS if calls last longer than that.',
  ],
  'max-duration': ['The call was as long as a call may be.', 'PATCHBAY_MAX_CALL_SECONDS is the limit.'],
  shutdown: ['The gateway was stopped.'],
  crashed: [
    'The gateway died during the call.',
    'Look at the last lines of its log before the start that followed.',
  ],
  error: ['Something failed in the gateway.', 'Look in its log for the id of the call.'],
};

const REFUSED: Readonly<Record<number, Words>> = {
  400: [
    'The call could not be understood.',
    'The reason says what is wrong in its headers; it was made by the calling system.',
  ],
  403: [
    'Its token was not accepted.',
    'Make a new participant, and transfer the call with its token before that expires.',
  ],
  404: [
    'Its participant does not exist any more.',
    'Do not delete a participant before its call has been transferred.',
  ],
  406: [
    'The calling system accepts no session description.',
    'Its Accept header must allow application/sdp.',
  ],
  415: ['The INVITE has a body that is no session description.', 'Have the calling system send SDP.'],
  420: ['The calling system requires an extension of SIP that the gateway lacks.', 'Switch that off there.'],
  422: ['The session timer of the calling system is too short.', 'Raise it there, or lower PATCHBAY_MIN_SE.'],
  480: [
    'The participant was ended while the call was set up, or its account has as many devices as it may.',
    'The reason says which; PATCHBAY_MAX_CALLS_PER_ACCOUNT is the limit.',
  ],
  481: ['It was to replace a call that does not exist.', 'That call may have ended before.'],
  486: [
    'Its participant is connected already.',
    'A participant has one device: make one participant for each call.',
  ],
  488: [
    'The phone and the gateway have no codec or transport in common.',
    'Compare the codecs that the phone offered with PATCHBAY_PHONE_CODECS; the reason says more.',
  ],
  503: [
    'The gateway was stopping, was overloaded, or had no port or no FreeSWITCH left.',
    'Look at its load and limits (docs/production.md), and have the carrier try again.',
  ],
  603: ['It was to replace a call that was over.'],
};

/** By the hundreds, for statuses that the table lacks. */
const REFUSED_OTHERWISE: Readonly<Record<number, Words>> = {
  4: ['The call was refused.', 'The reason says why.'],
  5: ['The gateway could not serve the call.', 'Look in its log for the Call-ID.'],
  6: ['The call was declined.', 'The reason says why.'],
};

/** What REST says of an end. */
export interface Explanation {
  readonly explanation: string;
  /** What to do about it; absent where nothing needs to be done. */
  readonly advice?: string;
}

function said([explanation, advice]: Words): Explanation {
  return advice === undefined ? { explanation } : { explanation, advice };
}

/** Why a connection ended; undefined for reasons that need no word. */
export function explainEnd(reason: string): Explanation | undefined {
  const words = (ENDED as Readonly<Record<string, Words>>)[reason];
  return words && said(words);
}

/** Why a call was refused. @param status SIP's */
export function explainRefusal(status: number): Explanation {
  return said(REFUSED[status] ?? REFUSED_OTHERWISE[Math.floor(status / 100)] ?? REFUSED_OTHERWISE[4]!);
}
