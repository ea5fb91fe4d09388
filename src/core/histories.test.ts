import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Core } from './core.js';
import { deliveries } from './deliveries.js';
import { PatchbayError } from './errors.js';
import { MemoryStore } from './core-store.js';
import { ACCOUNT, coreForTests, FakeDevice, newParticipant } from './testing/index.js';
import type { Connection, Delivery, PublishedStream, Subscriptions } from './types.js';

// Each test runs thousands of steps, which takes long on a loaded machine.
vi.setConfig({ testTimeout: 120_000 });

/** Few, so that a step with one often concerns another. */
const PARTICIPANTS = 5;
const SESSIONS = 2;
const ALIASES = ['camera', 'screen', 'microphone'];

type Wish = { everyone: boolean; named: readonly { who: number; aliases: readonly string[] }[] };
type Step =
  | { readonly do: 'add'; readonly who: number; readonly where: number; readonly wish: Wish | undefined }
  | { readonly do: 'remove'; readonly who: number }
  | { readonly do: 'subscribe'; readonly who: number; readonly wish: Wish }
  | { readonly do: 'connect'; readonly who: number }
  | { readonly do: 'publish'; readonly who: number; readonly aliases: readonly (string | undefined)[] }
  | { readonly do: 'end' | 'disconnect'; readonly who: number }
  | { readonly do: 'deleteParticipant'; readonly who: number }
  | { readonly do: 'deleteSession'; readonly where: number };

const who = fc.nat(PARTICIPANTS - 1);
const where = fc.nat(SESSIONS - 1);
const alias = fc.constantFrom(...ALIASES);
const wish: fc.Arbitrary<Wish> = fc.record({
  everyone: fc.boolean(),
  named: fc.array(fc.record({ who, aliases: fc.array(alias, { maxLength: 2 }) }), { maxLength: 3 }),
});
const publish = fc.record({
  do: fc.constant('publish' as const),
  who,
  aliases: fc.array(fc.option(alias, { nil: undefined }), { maxLength: 3 }),
});
const add = fc.record({
  do: fc.constant('add' as const),
  who,
  where,
  wish: fc.option(wish, { nil: undefined }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: add },
  { weight: 4, arbitrary: publish },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('connect' as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('subscribe' as const), who, wish }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('end' as const, 'disconnect' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteParticipant' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteSession' as const), where }) },
);

/** A core to which a random history happens. */
class World {
  readonly store = new MemoryStore();
  readonly core: Core = coreForTests({ store: this.store }).core;
  readonly people = Array.from({ length: PARTICIPANTS }, () => newParticipant(this.core));
  readonly sessions = Array.from({ length: SESSIONS }, () => this.core.createSession(ACCOUNT, {}).id);
  readonly devices = new Map<string, { device: FakeDevice; connection: Connection }>();
  #made = 0;

  /** Does one step; one that the core refuses changes nothing. */
  take(next: Step): void {
    try {
      this.#do(next);
    } catch (error) {
      if (!(error instanceof PatchbayError)) throw error;
    }
  }

  #do(next: Step): void {
    switch (next.do) {
      case 'add': {
        const session = this.sessions[next.where]!;
        const subscriptions = next.wish && this.#subscriptions(next.wish, session);
        this.core.addToSession(ACCOUNT, session, this.people[next.who]!, subscriptions);
        return;
      }
      case 'remove': {
        this.core.removeFromSession(ACCOUNT, this.#sessionOf(next.who), this.people[next.who]!);
        return;
      }
      case 'subscribe': {
        const session = this.#sessionOf(next.who);
        const subscriptions = this.#subscriptions(next.wish, session);
        this.core.setSubscriptions(ACCOUNT, session, this.people[next.who]!, subscriptions);
        return;
      }
      case 'connect': {
        this.#connect(this.people[next.who]!);
        return;
      }
      case 'publish': {
        this.#publish(this.people[next.who]!, next.aliases);
        return;
      }
      case 'end':
        this.devices.get(this.people[next.who]!)?.connection.end('left');
        this.devices.delete(this.people[next.who]!);
        return;
      case 'disconnect':
        this.devices.delete(this.people[next.who]!);
        {
          this.core.disconnectDevice(ACCOUNT, this.people[next.who]!);
          return;
        }
      case 'deleteParticipant':
        this.devices.delete(this.people[next.who]!);
        this.core.deleteParticipant(ACCOUNT, this.people[next.who]!);
        this.people[next.who] = newParticipant(this.core);
        return;
      case 'deleteSession': {
        const session = this.sessions[next.where]!;
        for (const { id } of this.core.members(ACCOUNT, session)) this.devices.delete(id);
        this.core.deleteSession(ACCOUNT, session);
        this.sessions[next.where] = this.core.createSession(ACCOUNT, {}).id;
        return;
      }
    }
  }

  #connect(participantId: string): void {
    this.#made += 1;
    const device = new FakeDevice(`device-${this.#made}`);
    this.devices.set(participantId, {
      device,
      connection: this.core.connect(participantId, device, { replace: true }),
    });
  }

  /** The alias determines the stream id, so that streams often go on from one publishing to the next. */
  #publish(participantId: string, aliases: readonly (string | undefined)[]): void {
    const streams = new Map<string, PublishedStream>();
    for (const name of aliases) {
      this.#made += 1;
      const streamId = `${participantId} ${name ?? this.#made}`;
      streams.set(streamId, {
        streamId,
        mediaTypes: ['audio'],
        ...(name === undefined ? {} : { alias: name }),
      });
    }
    this.devices.get(participantId)?.connection.publish([...streams.values()]);
  }

  #sessionOf(index: number): string {
    return this.core.participant(ACCOUNT, this.people[index]!).sessionId ?? 'none';
  }

  #subscriptions({ everyone, named }: Wish, sessionId: string): Subscriptions {
    const participants = named.map((entry) => ({
      participantId: this.people[entry.who]!,
      streamAliases: entry.aliases,
    }));
    return everyone ? { sessionId, participants } : { participants };
  }

  /** The state of a session, as the core's API shows it. */
  fromScratch(sessionId: string): ReadonlyMap<string, Delivery> {
    const members = this.core.members(ACCOUNT, sessionId);
    const published = members.flatMap(({ id }) =>
      (this.core.device(ACCOUNT, id)?.streams ?? []).map((stream) => ({ ...stream, participantId: id })),
    );
    return deliveries(
      members.map(({ id, subscriptions }) => ({ participantId: id, subscriptions })),
      published,
    );
  }
}

function sorted(delivery: Delivery): Delivery {
  return [...delivery].sort((a, b) => (a.streamId < b.streamId ? -1 : 1));
}

/** The rules of subscriptions once more, written differently: stream by stream. */
function askedFor(
  receiver: string,
  wishes: Subscriptions,
  streamOf: string,
  name: string | undefined,
): boolean {
  if (streamOf === receiver) return false;
  const named = wishes.participants ?? [];
  if (named.length === 0) return wishes.sessionId !== undefined;
  return named.some(
    (entry) =>
      entry.participantId === streamOf &&
      (!entry.streamAliases?.length || (name !== undefined && entry.streamAliases.includes(name))),
  );
}

function afterHistory(check: (world: World) => void): void {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (history) => {
      const world = new World();
      for (const next of history) {
        world.take(next);
        check(world);
      }
    }),
    { numRuns: 150 },
  );
}

describe('after every step of any history', () => {
  it('deliveries are what they would be if computed from scratch', () => {
    afterHistory((world) => {
      for (const session of world.sessions) {
        for (const [id, delivery] of world.fromScratch(session)) {
          const device = world.core.device(ACCOUNT, id);
          if (device) expect(sorted(device.delivery)).toEqual(sorted(delivery));
        }
      }
    });
  });

  it('a device was told last what it receives now, and was told nothing twice', () => {
    afterHistory((world) => {
      for (const [id, { device }] of world.devices) {
        expect(device.deliveries.at(-1) ?? []).toEqual(world.core.device(ACCOUNT, id)?.delivery);
        const before = device.deliveries.at(-2) ?? [];
        if (device.deliveries.length > 0) expect(device.deliveries.at(-1)).not.toEqual(before);
      }
    });
  });

  it('everybody receives all that they asked for, and nothing else', () => {
    afterHistory(({ core, people, devices }) => {
      for (const [receiver, { device }] of devices) {
        const { sessionId, subscriptions } = core.participant(ACCOUNT, receiver);
        const expected = people
          .filter((id) => sessionId !== undefined && core.participant(ACCOUNT, id).sessionId === sessionId)
          .flatMap((id) =>
            (core.device(ACCOUNT, id)?.streams ?? [])
              .filter((stream) => askedFor(receiver, subscriptions, id, stream.alias))
              .map((stream) => stream.streamId),
          );
        expect([...device.receiving].sort()).toEqual(expected.sort());
      }
    });
  });

  it('a participant is in no more than one session, and no device outlives its participant', () => {
    afterHistory(({ core, people, sessions, devices }) => {
      const memberships = sessions.flatMap((id) => core.members(ACCOUNT, id).map((member) => member.id));
      expect(new Set(memberships).size).toBe(memberships.length);
      const { browser: browsers = 0 } = core.counts().devices;
      expect(browsers).toBe(devices.size);
      expect(people.filter((id) => core.device(ACCOUNT, id)).length).toBe(browsers);
    });
  });

  it('a core that starts with the stored state has the same state', () => {
    afterHistory(({ core, store }) => {
      const restarted = coreForTests({ store }).core;
      expect(restarted.sessions(ACCOUNT, {})).toEqual(core.sessions(ACCOUNT, {}));
      expect(restarted.participants(ACCOUNT, {})).toEqual(core.participants(ACCOUNT, {}));
      for (const { id } of core.sessions(ACCOUNT, {}).items) {
        const members = (of: Core) => new Set(of.members(ACCOUNT, id).map((member) => member.id));
        expect(members(restarted)).toEqual(members(core));
      }
    });
  });
});
