import type { NewParticipant } from './core.js';
import { PatchbayError } from './errors.js';
import type { Limits } from './limits.js';
import type { MediaType, ParticipantSubscription, Subscriptions } from './types.js';

const MAX_URL_LENGTH = 2_048;

/** @throws PatchbayError BAD_REQUEST when the tag is too long */
export function checkTag(tag: string | undefined, limits: Limits): void {
  if (tag !== undefined && Array.from(tag).length > limits.tagLength) {
    throw new PatchbayError('PATCHBAY_BAD_REQUEST', `A tag has at most ${limits.tagLength} characters.`);
  }
}

/** @throws PatchbayError BAD_REQUEST when a property of a participant to be made is not acceptable */
export function checkNewParticipant(options: NewParticipant, limits: Limits): void {
  checkTag(options.tag, limits);
  if (options.callbackUrl !== undefined) checkCallbackUrl(options.callbackUrl);
}

function checkCallbackUrl(callbackUrl: string): void {
  const protocol = URL.canParse(callbackUrl) ? new URL(callbackUrl).protocol : undefined;
  if ((protocol !== 'http:' && protocol !== 'https:') || callbackUrl.length > MAX_URL_LENGTH) {
    throw new PatchbayError(
      'PATCHBAY_BAD_REQUEST',
      `callbackUrl must be an http or https URL of at most ${MAX_URL_LENGTH} characters.`,
    );
  }
}

/** Each type once, in a fixed order. */
export function orderedMediaTypes(types: readonly MediaType[]): readonly MediaType[] {
  return (['AUDIO', 'VIDEO'] as const).filter((type) => types.includes(type));
}

/**
 * The subscriptions as they are kept: without empty lists, which mean the same as absent ones.
 * @throws PatchbayError BAD_REQUEST when they name another session or too many things
 */
export function keptSubscriptions(wanted: Subscriptions, sessionId: string, limits: Limits): Subscriptions {
  if (wanted.sessionId !== undefined && wanted.sessionId !== sessionId) {
    throw new PatchbayError(
      'PATCHBAY_BAD_REQUEST',
      'sessionId of the subscriptions must be the session of the path.',
    );
  }
  const participants = (wanted.participants ?? []).map(keptEntry);
  const entries = participants.reduce((sum, entry) => sum + 1 + (entry.streamAliases?.length ?? 0), 0);
  if (entries > limits.subscriptionEntries) {
    throw new PatchbayError(
      'PATCHBAY_BAD_REQUEST',
      `Subscriptions hold at most ${limits.subscriptionEntries} participants and aliases.`,
    );
  }
  return {
    ...(wanted.sessionId === undefined ? {} : { sessionId }),
    ...(participants.length === 0 ? {} : { participants }),
  };
}

function keptEntry({ participantId, streamAliases }: ParticipantSubscription): ParticipantSubscription {
  return streamAliases && streamAliases.length > 0
    ? { participantId, streamAliases: [...new Set(streamAliases)] }
    : { participantId };
}
