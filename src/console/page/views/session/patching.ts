import type { Participant, ParticipantSubscription, Subscriptions } from '../../gateway/resources.js';
import { levelOf, type Source } from './cells.js';

/** A participant's subscriptions as they are to be. */
export interface Patch {
  readonly participantId: string;
  readonly subscriptions: Subscriptions;
}

/** Nobody: an empty list of participants would mean what `sessionId` says. */
const NOBODY: Subscriptions = {};

const toParticipants = (participants: readonly ParticipantSubscription[]): Subscriptions =>
  participants.length === 0 ? NOBODY : { participants };

/**
 * What a receiver's subscriptions become when one crossing of the matrix is clicked: the stream is received, or not any
 * more. A subscription to the session becomes one to all others of its participants, since "everyone but one" cannot be
 * said otherwise. A stream without an alias can only come and go with all streams of its publisher.
 */
export function toggled(
  receiver: Participant,
  { publisher, stream }: Source,
  participants: readonly Participant[],
): Subscriptions {
  const entries = receiver.subscriptions.participants ?? [];
  const others = entries.filter(({ participantId }) => participantId !== publisher.id);
  const aliases = wantedAliases(receiver.subscriptions, publisher.id);
  const isWanted = stream
    ? levelOf(receiver.subscriptions, publisher.id, stream.alias) !== undefined
    : aliases !== undefined;
  if (!isWanted) return toParticipants([...others, adding(publisher, stream?.alias, aliases)]);
  const rest = stream?.alias === undefined ? [] : without(publisher, stream.alias, aliases);
  const kept = rest.length > 0 ? [{ participantId: publisher.id, streamAliases: rest }] : [];
  if (entries.length > 0) return toParticipants([...others, ...kept]);
  const everyoneElse = participants
    .filter(({ id }) => id !== receiver.id && id !== publisher.id)
    .map(({ id }) => ({ participantId: id }));
  return toParticipants([...everyoneElse, ...kept]);
}

/** Aliases of a publisher that are asked for; `all`: the publisher as a whole; undefined: nothing of it. */
function wantedAliases(
  subscriptions: Subscriptions,
  publisherId: string,
): readonly string[] | 'all' | undefined {
  const entries = subscriptions.participants ?? [];
  if (entries.length === 0) return subscriptions.sessionId === undefined ? undefined : 'all';
  const own = entries.filter(({ participantId }) => participantId === publisherId);
  if (own.length === 0) return undefined;
  if (own.some(({ streamAliases = [] }) => streamAliases.length === 0)) return 'all';
  return own.flatMap(({ streamAliases = [] }) => streamAliases);
}

const aliasesOf = (publisher: Participant): string[] =>
  (publisher.device?.streams ?? []).flatMap(({ alias }) => alias ?? []);

/** The entry by which one more stream is received. */
function adding(
  publisher: Participant,
  alias: string | undefined,
  wanted: readonly string[] | 'all' | undefined,
): ParticipantSubscription {
  const participantId = publisher.id;
  const streams = publisher.device?.streams ?? [];
  const some = wanted === undefined || wanted === 'all' ? [] : wanted;
  // A publisher's only stream: with the next one that it publishes, that is received too.
  if (alias === undefined || streams.length < 2) return { participantId };
  const streamAliases = [...new Set([...some, alias])];
  const isAll = streams.every((stream) => stream.alias !== undefined && streamAliases.includes(stream.alias));
  return isAll ? { participantId } : { participantId, streamAliases };
}

/** The aliases that are left of a publisher when one goes. */
function without(
  publisher: Participant,
  alias: string,
  wanted: readonly string[] | 'all' | undefined,
): string[] {
  const some = wanted === 'all' ? aliasesOf(publisher) : (wanted ?? []);
  return some.filter((one) => one !== alias);
}

/** Everybody receives everybody else, those who come later too. */
export function everyone(sessionId: string, participants: readonly Participant[]): Patch[] {
  return participants.map(({ id }) => ({ participantId: id, subscriptions: { sessionId } }));
}

export function nobody(participants: readonly Participant[]): Patch[] {
  return participants.map(({ id }) => ({ participantId: id, subscriptions: NOBODY }));
}

/** The supervisor receives all others, and is received by nobody; the others receive each other. */
export function monitor(
  sessionId: string,
  participants: readonly Participant[],
  supervisorId: string,
): Patch[] {
  return whisper(sessionId, participants, supervisorId, undefined);
}

/** As {@link monitor}, but one participant receives the supervisor, too. */
export function whisper(
  sessionId: string,
  participants: readonly Participant[],
  supervisorId: string,
  agentId: string | undefined,
): Patch[] {
  return participants.map(({ id }) => {
    if (id === supervisorId || id === agentId) return { participantId: id, subscriptions: { sessionId } };
    const others = participants.filter((other) => other.id !== id && other.id !== supervisorId);
    return {
      participantId: id,
      subscriptions: toParticipants(others.map(({ id: participantId }) => ({ participantId }))),
    };
  });
}

/** Nobody receives one participant any more; it still receives others. */
export function muted(participants: readonly Participant[], mutedId: string): Patch[] {
  return participants.flatMap((receiver) => {
    if (receiver.id === mutedId) return [];
    const entries = receiver.subscriptions.participants ?? [];
    if (entries.length === 0 && receiver.subscriptions.sessionId === undefined) return [];
    const all = participants.filter(({ id }) => id !== receiver.id).map(({ id }) => ({ participantId: id }));
    const kept = (entries.length > 0 ? entries : all).filter(
      ({ participantId }) => participantId !== mutedId,
    );
    if (kept.length === entries.length) return [];
    return [{ participantId: receiver.id, subscriptions: toParticipants(kept) }];
  });
}

/** The opposite of {@link muted}: everybody receives one participant, beside those whom they receive. */
export function unmuted(participants: readonly Participant[], id: string): Patch[] {
  return participants.flatMap((receiver) => {
    if (receiver.id === id || levelOf(receiver.subscriptions, id, undefined) !== undefined) return [];
    const others = (receiver.subscriptions.participants ?? []).filter(
      ({ participantId }) => participantId !== id,
    );
    return [
      { participantId: receiver.id, subscriptions: toParticipants([...others, { participantId: id }]) },
    ];
  });
}
