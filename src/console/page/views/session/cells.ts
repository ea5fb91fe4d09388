import type { DeliveredStream, Participant, Stream, Subscriptions } from '../../gateway/resources.js';

/** A line of the matrix: a stream, or a participant that publishes none. */
export interface Source {
  readonly publisher: Participant;
  /** Absent: it publishes nothing. */
  readonly stream?: Stream;
  /** Nobody is subscribed to the publisher, while others are heard. */
  readonly isMuted?: true;
}

/** By which subscription somebody receives a stream. */
export type Level = 'session' | 'participant' | 'alias';

/** Why a stream that is asked for does not arrive, or why nothing is asked for. */
export type Hindrance =
  | 'not-subscribed'
  | 'receiver-not-connected'
  | 'publisher-not-connected'
  | 'no-permission'
  | 'publishes-nothing'
  | 'receiver-on-hold'
  | 'publisher-on-hold'
  | 'left-out'
  | 'on-its-way';

/** What one crossing of the matrix says: whether a receiver gets a stream, and why or why not. */
export interface Cell {
  readonly state: 'own' | 'received' | 'wanted' | 'off';
  /** Which subscription asks for it. */
  readonly level?: Level;
  readonly hindrance?: Hindrance;
  /** In words. */
  readonly words: string;
}

/** All lines of a session's matrix, in the order of its participants. */
export function sourcesOf(participants: readonly Participant[]): Source[] {
  const heard = new Set(participants.filter(({ id }) => isHeard(participants, id)).map(({ id }) => id));
  return participants.flatMap((publisher): Source[] => {
    const streams = publisher.device?.streams ?? [];
    const isMuted = heard.size > 0 && !heard.has(publisher.id);
    const source: Source = { publisher, ...(isMuted && { isMuted }) };
    return streams.length === 0 ? [source] : streams.map((stream) => ({ ...source, stream }));
  });
}

/** Whether somebody receives, or would receive, a participant. */
export function isHeard(participants: readonly Participant[], id: string): boolean {
  return participants.some((receiver) => {
    const { sessionId, participants: entries = [] } = receiver.subscriptions;
    if (receiver.id === id) return false;
    return entries.length === 0
      ? sessionId !== undefined
      : entries.some(({ participantId }) => participantId === id);
  });
}

/** Which subscription of a receiver asks for a stream; undefined: none. The gateway has the same rule. */
export function levelOf(
  subscriptions: Subscriptions,
  publisherId: string,
  alias: string | undefined,
): Level | undefined {
  const entries = subscriptions.participants ?? [];
  if (entries.length === 0) return subscriptions.sessionId === undefined ? undefined : 'session';
  const own = entries.filter(({ participantId }) => participantId === publisherId);
  if (own.some(({ streamAliases = [] }) => streamAliases.length === 0)) return 'participant';
  return own.some(({ streamAliases = [] }) => alias !== undefined && streamAliases.includes(alias))
    ? 'alias'
    : undefined;
}

const BY: Record<Level, string> = {
  session: 'by its subscription to the session',
  participant: 'by its subscription to the participant',
  alias: 'by its subscription to the alias',
};

const WHY: Record<Exclude<Hindrance, 'left-out'>, string> = {
  'not-subscribed': 'not subscribed',
  'receiver-not-connected': 'the receiver is not connected',
  'publisher-not-connected': 'the publisher is not connected',
  'no-permission': 'the publisher has no permission to publish',
  'publishes-nothing': 'the publisher publishes nothing',
  'receiver-on-hold': 'the receiver has put the session on hold',
  'publisher-on-hold': 'the publisher has put the session on hold',
  'on-its-way': 'on its way',
};

/** Whether a receiver gets a stream, and why or why not. */
export function cellOf(receiver: Participant, { publisher, stream, isMuted }: Source): Cell {
  if (receiver.id === publisher.id) return { state: 'own', words: 'its own' };
  const level = wantedBy(receiver.subscriptions, publisher, stream);
  const delivered = stream && receiver.device?.delivery.find(({ streamId }) => streamId === stream.streamId);
  const why = hindranceOf(receiver, publisher, stream, delivered);
  if (level === undefined && !delivered) {
    const more = [
      isMuted ? '; muted for everybody' : '',
      why === undefined || why.hindrance === 'on-its-way' ? '' : `; ${why.words}`,
    ].join('');
    return { state: 'off', hindrance: 'not-subscribed', words: `${WHY['not-subscribed']}${more}` };
  }
  const by = level === undefined ? '' : `, ${BY[level]}`;
  if (why)
    return { state: 'wanted', ...(level && { level }), hindrance: why.hindrance, words: `${why.words}${by}` };
  return { state: 'received', ...(level && { level }), words: `received${by}` };
}

/** For a publisher without streams: any subscription to it counts, whatever the alias. */
function wantedBy(
  subscriptions: Subscriptions,
  publisher: Participant,
  stream: Stream | undefined,
): Level | undefined {
  const level = levelOf(subscriptions, publisher.id, stream?.alias);
  if (level !== undefined || stream) return level;
  const named = (subscriptions.participants ?? []).some(
    ({ participantId }) => participantId === publisher.id,
  );
  return named ? 'alias' : undefined;
}

function hindranceOf(
  receiver: Participant,
  publisher: Participant,
  stream: Stream | undefined,
  delivered: DeliveredStream | undefined,
): { readonly hindrance: Hindrance; readonly words: string } | undefined {
  const because = (hindrance: Exclude<Hindrance, 'left-out'>) => ({ hindrance, words: WHY[hindrance] });
  if (!publisher.device) return because('publisher-not-connected');
  if (!stream) {
    return because(publisher.publishPermissions.length === 0 ? 'no-permission' : 'publishes-nothing');
  }
  if (!receiver.device) return because('receiver-not-connected');
  const omitted = receiver.device.omitted.filter(({ streamId }) => streamId === stream.streamId);
  if (omitted.length > 0) {
    const words = omitted.map(({ mediaType, reason }) => `${mediaType.toLowerCase()} is left out: ${reason}`);
    return { hindrance: 'left-out', words: words.join('; ') };
  }
  if (receiver.device.held) return because('receiver-on-hold');
  if (publisher.device.held) return because('publisher-on-hold');
  return delivered ? undefined : because('on-its-way');
}
