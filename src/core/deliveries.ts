import type { DeliveredStream, Delivery, Subscriptions } from './types.js';

/** A participant in a session, as far as deliveries depend on it. */
interface Member {
  readonly participantId: string;
  readonly subscriptions: Subscriptions;
}

/**
 * What each member of a session receives: the one rule from subscriptions and streams to deliveries.
 * @param published all streams of the session's members, in the order of publishing
 */
export function deliveries(
  members: readonly Member[],
  published: readonly DeliveredStream[],
): ReadonlyMap<string, Delivery> {
  return new Map(members.map((member) => [member.participantId, deliveryFor(member, published)]));
}

/** What one member receives of the streams published in its session; never its own. */
export function deliveryFor(member: Member, published: readonly DeliveredStream[]): Delivery {
  const wants = matcher(member.subscriptions);
  return published.filter((stream) => stream.participantId !== member.participantId && wants(stream));
}

function matcher(subscriptions: Subscriptions): (stream: DeliveredStream) => boolean {
  const entries = subscriptions.participants ?? [];
  if (entries.length === 0) return () => subscriptions.sessionId !== undefined;
  const everything = new Set<string>();
  const aliases = new Map<string, Set<string>>();
  for (const { participantId, streamAliases = [] } of entries) {
    if (streamAliases.length === 0) everything.add(participantId);
    const wanted = aliases.get(participantId) ?? new Set();
    for (const alias of streamAliases) wanted.add(alias);
    aliases.set(participantId, wanted);
  }
  return ({ participantId, alias }) =>
    everything.has(participantId) ||
    (alias !== undefined && (aliases.get(participantId)?.has(alias) ?? false));
}

/** Whether a member receives a participant's streams, or some aliases of them. */
export function hears({ participantId, subscriptions }: Member, whom: string): boolean {
  if (participantId === whom) return false;
  const entries = subscriptions.participants ?? [];
  if (entries.length === 0) return subscriptions.sessionId !== undefined;
  return entries.some((entry) => entry.participantId === whom);
}

/** Whether two deliveries hold the same stream objects in the same order. */
export function sameDelivery(one: Delivery, other: Delivery): boolean {
  return one.length === other.length && one.every((stream, index) => stream === other[index]);
}
