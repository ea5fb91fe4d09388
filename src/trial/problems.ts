import type { FinalAnswer } from './sip/index.js';
import type { Problem } from './types.js';

/** What to do about a refusal, by its SIP status: docs/phones.md has the same table. */
const ADVICE: Readonly<Record<number, string>> = {
  400: 'Something between the test call and the gateway changes its messages: look at the SIP proxy in front.',
  403: 'There is no valid participant token in the call. In BXML it belongs into the attribute uui of <SipUri>, as TOKEN;encoding=jwt. If the token is right, the gateway that received the call has another token secret: check PATCHBAY_TOKEN_SECRET, and which gateway drachtio-server passes calls to.',
  404: 'The participant was deleted: create another one.',
  408: 'The SIP server is running but no application answers: check that the gateway is connected to drachtio-server.',
  480: 'The account has as many phones and pages connected as it may: disconnect some, or raise PATCHBAY_MAX_CALLS_PER_ACCOUNT.',
  486: 'The participant has a device already: disconnect it, or call another participant.',
  488: 'No codec fits: check PATCHBAY_PHONE_CODECS, and the codecs of FreeSWITCH.',
  503: 'The gateway is stopping, has more calls than it may (PATCHBAY_MAX_CALLS), or has no RTP port left (PATCHBAY_RTP_PORTS). Try again in a moment.',
};

/** Why a call was not answered. */
export function refusalProblem({ status, reason, isLocal }: FinalAnswer): Problem {
  if (isLocal && status === 408) {
    return {
      code: 'no-answer',
      message: 'Nobody answered the call: no response came from the SIP server within 32 s.',
      advice:
        'Check that the SIP port is open on this machine (PATCHBAY_SIP_HOST, PATCHBAY_SIP_PORT) and that no firewall drops UDP to it; with drachtio-server, that it is running.',
    };
  }
  if (isLocal && status === 503) return unreachable(reason);
  return {
    code: 'refused',
    message: `The call was refused: ${status} ${reason}`,
    advice:
      ADVICE[status] ?? 'The gateway’s log has a line “Request refused.” with the Call-ID, which says why.',
  };
}

export function unreachable(reason: string): Problem {
  return {
    code: 'sip-unreachable',
    message: `The SIP server cannot be reached: ${reason}`,
    advice:
      'With drachtio-server: check that it is running and that PATCHBAY_DRACHTIO names it. Otherwise check PATCHBAY_SIP_HOST and PATCHBAY_SIP_PORT.',
  };
}

export const NO_RTP: Problem = {
  code: 'no-rtp',
  message: 'The call was answered, but no sound comes back from the gateway.',
  advice:
    'RTP does not get through: open the UDP ports of PATCHBAY_RTP_PORTS in the firewall, and check PATCHBAY_RTP_HOST and PATCHBAY_PUBLIC_IP. With FreeSWITCH, check the RTP ports of its own.',
};

export const NOT_HEARD: Problem = {
  code: 'not-heard',
  message: 'The call was answered, but its sound does not arrive at the gateway.',
  advice:
    'RTP to the gateway is dropped: open the UDP ports of PATCHBAY_RTP_PORTS in the firewall, and check that PATCHBAY_PUBLIC_IP, if set, is the address of this machine.',
};

export const NO_SESSION: Problem = {
  code: 'no-session',
  message: 'The participant is in no session, so nobody hears the call and it hears nobody.',
  advice: 'Add the participant to a session.',
};

export const MAY_NOT_PUBLISH: Problem = {
  code: 'may-not-publish',
  message: 'The participant may not publish audio, so nobody hears the call.',
  advice: 'Call a participant that was created with publishPermissions that include AUDIO.',
};

export const NOBODY_HEARS: Problem = {
  code: 'nobody-hears',
  message:
    'The call works, but nobody hears it: no connected participant of the session is subscribed to it.',
  advice: 'Open the join page as another participant of the session, or change the subscriptions.',
};

export function endedEarly(reason: string | undefined): Problem {
  return {
    code: 'ended-early',
    message: `The gateway hung up${reason === undefined ? '.' : `: ${reason}`}`,
    advice: 'This is as it should be if you disconnected it, or deleted the participant or its session.',
  };
}
