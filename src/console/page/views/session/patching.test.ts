import { describe, expect, it } from 'vitest';
import type { Device, Participant, Subscriptions } from '../../gateway/resources.js';
import { cellOf, isHeard, sourcesOf } from './cells.js';
import { everyone, monitor, muted, nobody, type Patch, toggled, unmuted, whisper } from './patching.js';

const DEVICE: Device = {
  id: 'd',
  kind: 'phone',
  externalId: 'd',
  direction: 'inbound',
  connectedAt: '2026-11-30T00:00:00.000Z',
  held: false,
  streams: [],
  delivery: [],
  omitted: [],
};

/** A participant with a stream for each alias; null: a stream without one. */
function person(
  id: string,
  subscriptions: Subscriptions = {},
  aliases: (string | null)[] = [null],
): Participant {
  const streams = aliases.map((alias) => ({
    streamId: `${id}-${alias ?? 'stream'}`,
    ...(alias !== null && { alias }),
    mediaTypes: ['AUDIO' as const],
  }));
  return {
    id,
    publishPermissions: ['AUDIO'],
    deviceApiVersion: 'V3',
    sessions: ['s'],
    subscriptions,
    createdAt: DEVICE.connectedAt,
    expiresAt: DEVICE.connectedAt,
    device: { ...DEVICE, streams },
  };
}

const SESSION = { sessionId: 's' };
const to = (...ids: string[]): Subscriptions => ({
  participants: ids.map((participantId) => ({ participantId })),
});
const aliases = (participantId: string, ...streamAliases: string[]): Subscriptions => ({
  participants: [{ participantId, streamAliases }],
});

/** Delivers what is subscribed to, as the gateway does, so that cells say whether it is received. */
function delivered(participants: readonly Participant[]): Participant[] {
  const streams = participants.flatMap(({ id, device }) =>
    (device?.streams ?? []).map((stream) => ({ ...stream, participantId: id })),
  );
  return participants.map((participant) => {
    const { sessionId, participants: entries = [] } = participant.subscriptions;
    const delivery = streams.filter(
      ({ participantId, alias }) =>
        participantId !== participant.id &&
        (entries.length === 0
          ? sessionId !== undefined
          : entries.some(
              (entry) =>
                entry.participantId === participantId &&
                ((entry.streamAliases ?? []).length === 0 ||
                  (entry.streamAliases ?? []).includes(alias ?? '')),
            )),
    );
    return { ...participant, ...(participant.device && { device: { ...participant.device, delivery } }) };
  });
}

function patched(participants: readonly Participant[], patches: readonly Patch[]): Participant[] {
  return delivered(
    participants.map((participant) => ({
      ...participant,
      subscriptions:
        patches.find(({ participantId }) => participantId === participant.id)?.subscriptions ??
        participant.subscriptions,
    })),
  );
}

/** Who receives what, as `receiver<stream`. */
const received = (participants: readonly Participant[]): string[] =>
  participants
    .flatMap((receiver) =>
      sourcesOf(participants)
        .filter((source) => cellOf(receiver, source).state === 'received')
        .map(({ stream }) => `${receiver.id}<${stream!.streamId}`),
    )
    .sort();

describe('a click on a crossing', () => {
  it.each<[string, Subscriptions, (string | null)[], string | null, Subscriptions]>([
    ['adds a participant', {}, [null], null, to('p')],
    ['adds a participant to others', to('q'), [null], null, to('q', 'p')],
    ['takes a participant away', to('q', 'p'), [null], null, to('q')],
    ['leaves nobody, not everybody, when the last one goes', to('p'), [null], null, {}],
    ['names all others when one of the session goes', SESSION, [null], null, to('q')],
    ['adds one of several streams', {}, ['mic', 'screen'], 'mic', aliases('p', 'mic')],
    ['adds the whole with its only stream', {}, ['mic'], 'mic', to('p')],
    ['makes all aliases the participant', aliases('p', 'mic'), ['mic', 'screen'], 'screen', to('p')],
    ['adds an alias', aliases('p', 'a'), ['a', 'b', 'c'], 'c', aliases('p', 'a', 'c')],
    ['takes an alias away', aliases('p', 'a', 'c'), ['a', 'b', 'c'], 'c', aliases('p', 'a')],
    ['takes one stream of a participant away', to('p'), ['mic', 'screen'], 'screen', aliases('p', 'mic')],
    ['takes all away with a stream that has no name', to('p'), [null, null], null, {}],
    [
      'keeps the other streams when one of the session goes',
      SESSION,
      ['mic', 'screen'],
      'mic',
      { participants: [{ participantId: 'q' }, { participantId: 'p', streamAliases: ['screen'] }] },
    ],
  ])('%s', (_name, subscriptions, published, clicked, expected) => {
    const people = [person('r', subscriptions), person('p', {}, published), person('q')];
    const stream = people[1]!.device!.streams.find(({ alias }) => (alias ?? null) === clicked)!;
    expect(toggled(people[0]!, { publisher: people[1]!, stream }, people)).toEqual(expected);
  });

  it('on a participant that publishes nothing yet, counts for whatever it will publish', () => {
    const absent = person('p', {}, []);
    const people = [person('r'), absent];
    expect(toggled(people[0]!, { publisher: absent }, people)).toEqual(to('p'));
    const subscribed = person('r', aliases('p', 'mic'));
    expect(toggled(subscribed, { publisher: absent }, people)).toEqual({});
  });
});

describe('presets', () => {
  const people = delivered(['caller', 'agent', 'supervisor'].map((id) => person(id, to('nobody'))));
  const after = (patches: Patch[]): string[] => received(patched(people, patches));

  it('let everyone or nobody hear everyone', () => {
    expect(after(everyone('s', people))).toHaveLength(6);
    expect(after(nobody(people))).toEqual([]);
    expect(sourcesOf(patched(people, nobody(people))).some(({ isMuted }) => isMuted)).toBe(false);
  });

  it('monitor: the supervisor is heard by nobody', () => {
    expect(after(monitor('s', people, 'supervisor'))).toEqual([
      'agent<caller-stream',
      'caller<agent-stream',
      'supervisor<agent-stream',
      'supervisor<caller-stream',
    ]);
  });

  it('whisper: the supervisor is heard by the agent alone', () => {
    expect(after(whisper('s', people, 'supervisor', 'agent'))).toEqual([
      'agent<caller-stream',
      'agent<supervisor-stream',
      'caller<agent-stream',
      'supervisor<agent-stream',
      'supervisor<caller-stream',
    ]);
  });

  it('whisper to the only other: nobody is left whom the rest could hear', () => {
    const two = people.slice(1);
    expect(received(patched(two, whisper('s', two, 'supervisor', 'agent')))).toHaveLength(2);
  });

  it('mute one for everybody, and undo it', () => {
    const all = patched(people, everyone('s', people));
    const silenced = patched(all, muted(all, 'agent'));
    expect(received(silenced).filter((one) => one.endsWith('agent-stream'))).toEqual([]);
    expect(received(silenced)).toHaveLength(4);
    expect([isHeard(all, 'agent'), isHeard(silenced, 'agent')]).toEqual([true, false]);
    expect(muted(silenced, 'agent')).toEqual([]);
    const muteds = sourcesOf(silenced).map(({ publisher, isMuted = false }) => [publisher.id, isMuted]);
    expect(Object.fromEntries(muteds)).toEqual({ caller: false, agent: true, supervisor: false });
    expect(cellOf(silenced[0]!, sourcesOf(silenced)[1]!).words).toBe('not subscribed; muted for everybody');
    expect(received(patched(silenced, unmuted(silenced, 'agent')))).toHaveLength(6);
  });
});

describe('a crossing says why', () => {
  const words = (receiver: Participant, publisher: Participant): string =>
    cellOf(receiver, sourcesOf([publisher])[0]!).words;
  const wants = person('r', to('p'));
  const held = (who: Participant): Participant => ({ ...who, device: { ...who.device!, held: true } });
  const without = (who: Participant): Participant => {
    const { device, ...rest } = who;
    return device ? rest : who;
  };

  it.each<[string, Participant, Participant]>([
    ['not subscribed', person('r'), person('p')],
    ['not subscribed; the publisher is not connected', person('r'), without(person('p'))],
    ['the publisher is not connected, by its subscription to the participant', wants, without(person('p'))],
    ['the receiver is not connected, by its subscription to the participant', without(wants), person('p')],
    [
      'the receiver has put the session on hold, by its subscription to the participant',
      held(wants),
      person('p'),
    ],
    [
      'the publisher has put the session on hold, by its subscription to the participant',
      wants,
      held(person('p')),
    ],
    [
      'the publisher has no permission to publish, by its subscription to the participant',
      wants,
      { ...person('p', {}, []), publishPermissions: [] },
    ],
    ['the publisher publishes nothing, by its subscription to the participant', wants, person('p', {}, [])],
    ['on its way, by its subscription to the participant', wants, person('p')],
    ['its own', person('p'), person('p')],
  ])('%s', (expected, receiver, publisher) => {
    expect(words(receiver, publisher)).toBe(expected);
  });

  it('a track is left out, with the reason of the gateway', () => {
    const [receiver, publisher] = delivered([wants, person('p')]);
    const omitted = [{ streamId: 'p-stream', mediaType: 'AUDIO' as const, reason: 'no common codec' }];
    const cell = cellOf(
      { ...receiver!, device: { ...receiver!.device!, omitted } },
      sourcesOf([publisher!])[0]!,
    );
    expect(cell).toEqual({
      state: 'wanted',
      level: 'participant',
      hindrance: 'left-out',
      words: 'audio is left out: no common codec, by its subscription to the participant',
    });
  });

  it.each([
    [SESSION, 'session'],
    [to('p'), 'participant'],
    [aliases('p', 'mic'), 'alias'],
  ] as const)('it is received by %o', (subscriptions, level) => {
    const [receiver, publisher] = delivered([person('r', subscriptions), person('p', {}, ['mic'])]);
    expect(cellOf(receiver!, sourcesOf([publisher!])[0]!)).toMatchObject({ state: 'received', level });
  });
});
