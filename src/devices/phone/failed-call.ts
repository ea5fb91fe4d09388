import type { DeviceInfo, Participant } from '../../core/index.js';
import { offeredAudioCodecs } from '../../media/index.js';
import type { PhoneGate } from './options.js';
import type { Refusal } from './refusal.js';
import { sdpOf, type SipRequest } from './sip.js';
import { authenticate } from './tokens/authenticate.js';

/**
 * Reports a refused INVITE to the core if it carries the token of a participant, even an expired one. Calls without a
 * valid token are only logged, for the operator.
 * @returns the participant of the token
 */
export function reportFailedCall(
  invite: SipRequest,
  { id, kind, externalId, direction, caller, callerName, called }: DeviceInfo,
  { status, message: reason }: Refusal,
  { gate, tokenHeaders }: { readonly gate: PhoneGate; readonly tokenHeaders: readonly string[] },
): Participant | undefined {
  const participant = participantOf(invite, gate, tokenHeaders);
  if (!participant) return undefined;
  gate.callFailed(participant.id, {
    id,
    kind,
    externalId,
    direction,
    ...(caller !== undefined && { caller }),
    ...(callerName !== undefined && { callerName }),
    ...(called !== undefined && { called }),
    status,
    reason,
    codecs: offeredAudioCodecs(sdpOf(invite) ?? ''),
  });
  return participant;
}

function participantOf(
  invite: SipRequest,
  gate: PhoneGate,
  tokenHeaders: readonly string[],
): Participant | undefined {
  try {
    const ignoringExpiry = (token: string) => gate.authenticate(token, { ignoreExpiry: true });
    return authenticate(invite, tokenHeaders, { authenticate: ignoringExpiry });
  } catch {
    // It has no participant's token; the refusal says so.
    return undefined;
  }
}
