import type { NewParticipant } from './core.js';
import { PatchbayError } from './errors.js';
import type { AskedEvent, MediaType, ParticipantSubscription, Subscriptions } from './types.js';

const HOUR_MS = 3_600_000;

const MEBIBYTE = 1_048_576;

/** The limits of Bandwidth's API, for which the clients were written; generous ones where it names none. */
export const DEFAULT_CORE_LIMITS: Limits = {
  membersPerSession: 20,
  tagLength: 50,
  subscriptionEntries: 1_000,
  streamsPerDevice: 32,
  sessionsPerAccount: 100_000,
  participantsPerAccount: 200_000,
  devicesPerAccount: Number.POSITIVE_INFINITY,
  noiseSuppressions: 5,
  bytes: 1_024 * MEBIBYTE,
  bytesPerAccount: 512 * MEBIBYTE,
  sessionLifetimeMs: 9 * HOUR_MS,
  participantLifetimeMs: 9 * HOUR_MS,
};

const MAX_URL_LENGTH = 2_048;

export const DEFAULT_PAGE = 100;
export const MAX_PAGE = 1_000;

/**
 * How many items a page of a listing or report has at most.
 * @throws PatchbayError BAD_REQUEST when the limit is out of range
 */
export function pageLimit(limit = DEFAULT_PAGE): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new PatchbayError('PATCHBAY_BAD_REQUEST', `limit must be a whole number from 1 to ${MAX_PAGE}.`);
  }
  return limit;
}

/** @throws PatchbayError BAD_REQUEST when the tag is too long */
export function checkTag(tag: string | undefined, limits: Limits): void {
  // A text has no more characters than UTF-16 units: most tags need not be split to be counted.
  if (tag !== undefined && tag.length > limits.tagLength && Array.from(tag).length > limits.tagLength) {
    throw new PatchbayError('PATCHBAY_BAD_REQUEST', `A tag has at most ${limits.tagLength} characters.`);
  }
}

/** @throws PatchbayError BAD_REQUEST when a property of the new participant is not valid */
export function checkNewParticipant(options: NewParticipant, limits: Limits): void {
  checkTag(options.tag, limits);
  if (options.callbackUrl !== undefined) checkCallbackUrl(options.callbackUrl);
}

function checkCallbackUrl(callbackUrl: string): void {
  const url =
    callbackUrl.length <= MAX_URL_LENGTH && URL.canParse(callbackUrl) ? new URL(callbackUrl) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new PatchbayError(
      'PATCHBAY_BAD_REQUEST',
      `callbackUrl must be an http or https URL of at most ${MAX_URL_LENGTH} characters.`,
    );
  }
  if (!isHost(url.hostname)) {
    throw new PatchbayError(
      'PATCHBAY_BAD_REQUEST',
      'The host of callbackUrl is not a valid name or address.',
    );
  }
}

const MAX_HOST_LENGTH = 253;
/** RFC 1123 section 2.1, and underscores, which names within a network often have. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Whether a URL's host is an address or can be a name in the DNS (RFC 1035 section 2.3.4). */
function isHost(hostname: string): boolean {
  // The URL's parser has checked what is between the brackets.
  if (hostname.startsWith('[')) return true;
  const name = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  return name.length <= MAX_HOST_LENGTH && name.split('.').every((label) => LABEL.test(label));
}

/** All possible lists, shared by all participants to save memory. */
const ORDERED: readonly (readonly MediaType[])[] = [[], ['audio'], ['video'], ['audio', 'video']];

/** Each type once, in a fixed order. */
export function orderedMediaTypes(types: readonly MediaType[]): readonly MediaType[] {
  return ORDERED[(types.includes('audio') ? 1 : 0) + (types.includes('video') ? 2 : 0)]!;
}

const EVENTS: readonly AskedEvent[] = ['hold', 'callFailed', 'speaking', 'announcement'];

/** All possible lists, by their events as bits, shared as {@link ORDERED}. */
const ASKED: readonly (readonly AskedEvent[])[] = Array.from({ length: 2 ** EVENTS.length }, (_, bits) =>
  EVENTS.filter((_event, i) => (bits >> i) & 1),
);

/** Each event once, in a fixed order. */
export function orderedEvents(events: readonly AskedEvent[]): readonly AskedEvent[] {
  return ASKED[EVENTS.reduce((bits, event, i) => bits + (events.includes(event) ? 1 << i : 0), 0)]!;
}

/** Shared by all participants without subscriptions. */
export const NO_SUBSCRIPTIONS: Subscriptions = {};

/**
 * The subscriptions as they are kept: without empty lists, which mean the same as absent ones.
 * @throws PatchbayError BAD_REQUEST when they name another session or too many things
 */
export function keptSubscriptions(wanted: Subscriptions, sessionId: string, limits: Limits): Subscriptions {
  if (wanted.sessionId !== undefined && wanted.sessionId !== sessionId) {
    throw new PatchbayError(
      'PATCHBAY_BAD_REQUEST',
      'sessionId of the subscriptions must be the session in the path.',
    );
  }
  const about = wanted.sessionId === undefined ? NO_SUBSCRIPTIONS : { sessionId };
  if (!wanted.participants || wanted.participants.length === 0) return about;
  const participants = wanted.participants.map(keptEntry);
  const entries = participants.reduce((sum, entry) => sum + 1 + (entry.streamAliases?.length ?? 0), 0);
  if (entries > limits.subscriptionEntries) {
    throw new PatchbayError(
      'PATCHBAY_BAD_REQUEST',
      `Subscriptions hold at most ${limits.subscriptionEntries} participants and aliases.`,
    );
  }
  return { ...about, participants };
}

function keptEntry({ participantId, streamAliases }: ParticipantSubscription): ParticipantSubscription {
  return streamAliases && streamAliases.length > 0
    ? { participantId, streamAliases: [...new Set(streamAliases)] }
    : { participantId };
}

export interface Limits {
  /** Participants in one session, phones included. */
  readonly membersPerSession: number;
  /** Characters of a session's or participant's tag. */
  readonly tagLength: number;
  /** Participants and aliases together in one subscription. */
  readonly subscriptionEntries: number;
  /** Streams that one device may publish at a time; more are dropped and counted. */
  readonly streamsPerDevice: number;
  readonly sessionsPerAccount: number;
  readonly participantsPerAccount: number;
  /** Devices of one account that are connected at once. */
  readonly devicesPerAccount: number;
  /** Participants whose noise is suppressed, of all accounts. */
  readonly noiseSuppressions: number;
  /** What the core keeps, in estimated bytes: in all, and for one account. */
  readonly bytes: number;
  readonly bytesPerAccount: number;
  /** How long a session lives, in ms. */
  readonly sessionLifetimeMs: number;
  /** How long a participant and its token live, in ms. */
  readonly participantLifetimeMs: number;
}
