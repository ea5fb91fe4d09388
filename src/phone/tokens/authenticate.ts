import { tokensIn } from '../../shared/index.js';
import type { DeviceGate } from '../../core/core.js';
import { PatchbayError } from '../../core/errors.js';
import type { Participant } from '../../core/types.js';
import type { SipRequest } from '../sip.js';
import { header } from '../sip.js';
import { tokensInUri } from './uri-tokens.js';
import { tokensInUserToUser } from './user-to-user.js';

/** More tokens in one INVITE are not looked at: each costs a signature check. */
const MAX_TOKENS = 8;

/** What of a request may carry tokens. */
export type TokenCarrier = Pick<SipRequest, 'uri' | 'get'>;

/** Every token that an INVITE carries, in the order in which they are tried. */
export function tokensOf(invite: TokenCarrier, tokenHeaders: readonly string[]): string[] {
  const tokens = [
    ...tokensInUserToUser(header(invite, 'user-to-user') ?? ''),
    ...tokensInUri(invite.uri),
    ...tokenHeaders.flatMap((name) => tokensIn(header(invite, name) ?? '')),
  ];
  return [...new Set(tokens)].slice(0, MAX_TOKENS);
}

/**
 * The participant that an INVITE speaks for: that of the first token that verifies.
 * @throws PatchbayError TOKEN_INVALID, TOKEN_EXPIRED, PARTICIPANT_NOT_FOUND as for the first token when none
 * verifies; TOKENS_DISAGREE when verified tokens stand for different participants
 */
export function authenticate(
  invite: TokenCarrier,
  tokenHeaders: readonly string[],
  gate: Pick<DeviceGate, 'authenticate'>,
): Participant {
  let first: Participant | undefined;
  let failure: PatchbayError | undefined;
  for (const token of tokensOf(invite, tokenHeaders)) {
    try {
      const participant = gate.authenticate(token);
      if (first && first.id !== participant.id) {
        throw new PatchbayError('PATCHBAY_TOKENS_DISAGREE', 'The tokens stand for different participants.');
      }
      first = participant;
    } catch (error) {
      if (!(error instanceof PatchbayError) || error.code === 'PATCHBAY_TOKENS_DISAGREE') throw error;
      failure ??= error;
    }
  }
  if (first) return first;
  throw failure ?? new PatchbayError('PATCHBAY_TOKEN_INVALID', 'The INVITE carries no participant token.');
}

/** Whether an INVITE speaks for a participant. */
export function speaksForParticipant(...args: Parameters<typeof authenticate>): boolean {
  try {
    authenticate(...args);
    return true;
  } catch (error) {
    if (error instanceof PatchbayError) return false;
    throw error;
  }
}
