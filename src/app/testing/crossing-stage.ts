import { randomUUID } from 'node:crypto';
import { vi } from 'vitest';
import { Desk, Edge } from '../../cluster/index.js';
import { KeptEdges } from '../../cluster/testing/kept-edges.js';
import {
  type AskedConnection,
  type Core,
  createCore,
  type Delivery,
  type Device,
  type DeviceInfo,
  MemoryStore,
  type Participant,
} from '../../core/index.js';
import { ACCOUNT, newParticipant, TOKEN_SECRET } from '../../core/testing/index.js';
import type {
  CrossingWatcher,
  DeviceHandle,
  MediaCrossings,
  MediaPlane,
  MediaStreamInfo,
  PipeDoor,
} from '../../media/index.js';
import { toneLevel } from '../../media/phone/testing/spectrum.js';
import { TestPhone } from '../../media/phone/testing/test-phone.js';
import { FakeClock, silentLog } from '../../shared/testing/index.js';
import { joinCrossings } from '../crossings.js';

const SECRET = 'what all gateways of one database know';
/** 0.2 s at 8 kHz. */
const HEARD_SAMPLES = 1600;

/** A device of the core whose end is in the media plane of a gateway. */
export class PlaneDevice implements Device {
  readonly info: DeviceInfo;
  readonly capabilities = {};
  readonly formats = {};
  connection!: AskedConnection;
  readonly #handle: DeviceHandle;

  constructor(id: string, kind: 'phone' | 'browser', handle: DeviceHandle) {
    this.info = { id, kind, externalId: `external ${id}`, direction: 'inbound' };
    this.#handle = handle;
  }

  deliver(delivery: Delivery): void {
    void this.#handle.setDelivery(
      delivery.map(({ streamId }) => ({ streamId, kinds: ['audio', 'video'] as const })),
    );
  }
  watchLevels(): void {
    // Nobody asks for levels here.
  }
  close(): void {
    void this.#handle.close();
  }
}

export interface Call {
  readonly device: PlaneDevice;
  readonly participant: Participant;
  readonly streams: readonly MediaStreamInfo[];
  readonly phone: TestPhone;
  hears(hertz: number): Promise<void>;
  /** A while after the last packets with it. */
  hearsNot(hertz: number): Promise<void>;
}

/** A gateway, as far as devices and media go. */
export class Side {
  readonly plane: MediaPlane;
  readonly edge: Edge;
  readonly #phones = new Set<TestPhone>();
  #cut: () => void = () => undefined;

  /** @param relay says where its hosts are, as others are told */
  constructor(id: string, plane: MediaPlane, relay?: (door: PipeDoor) => Promise<PipeDoor>) {
    this.plane = plane;
    this.edge = new Edge({
      edgeId: id,
      process: randomUUID(),
      recognizes: () => true,
      clock: new FakeClock(),
      log: silentLog,
    });
    const { crossings } = plane;
    joinCrossings(this.edge, relay ? { crossings: relayed(crossings!, relay) } : plane, SECRET);
  }

  connect(desk: Desk): void {
    let isOpen = true;
    // What the leader answers comes a turn later, when both ends are there.
    const atDesk = desk.accept({
      send: (message) =>
        void setImmediate(() => {
          if (isOpen) atEdge.received(message);
        }),
      close: () => this.cut(),
    });
    const atEdge = this.edge.connectTo({
      send: (message) =>
        void setImmediate(() => {
          if (isOpen) atDesk.received(message);
        }),
      close: () => this.cut(),
    });
    this.#cut = () => {
      isOpen = false;
      atDesk.closed();
      atEdge.closed();
    };
  }

  /** Cuts the connection to the leader. */
  cut(): void {
    this.#cut();
    this.#cut = () => undefined;
  }

  /** Has a device that is open in the plane connected. */
  place(
    device: PlaneDevice,
    participant: Participant,
    streams: readonly MediaStreamInfo[],
    isCarried = false,
  ): void {
    device.connection = this.edge.connect(participant, device, {
      replace: true,
      ...(isCarried && { carriedSince: Date.now() }),
    });
    device.connection.publish(streams.map(({ streamId, kinds }) => ({ streamId, mediaTypes: kinds })));
  }

  async participant(id: string): Promise<Participant> {
    return (await this.edge.participantOf(id))!;
  }

  /** Places a call of a participant. */
  async call(participantId: string): Promise<Call> {
    const phone = await TestPhone.open();
    this.#phones.add(phone);
    const deviceId = randomUUID();
    const handle = this.plane.open({ kind: 'phone', deviceId, sdpOffer: phone.offer() }, () => undefined);
    const { sdp, stream } = await handle.opened;
    phone.callTo(sdp);
    const participant = await this.participant(participantId);
    const device = new PlaneDevice(deviceId, 'phone', handle);
    this.place(device, participant, [stream!]);
    return {
      device,
      participant,
      streams: [stream!],
      phone,
      hears: async (hertz) => {
        const since = performance.now();
        await phone.until(() => levelOf(phone, since, hertz) > 0.08, 20_000);
      },
      hearsNot: async (hertz) => {
        const since = performance.now();
        await phone.until(() => {
          const level = levelOf(phone, since, hertz);
          return level > 0 && level < 0.01;
        }, 20_000);
      },
    };
  }

  async stop(): Promise<void> {
    this.cut();
    await Promise.all([...this.#phones].map((phone) => phone.close()));
    await this.plane.stop();
  }
}

function relayed(crossings: MediaCrossings, relay: (door: PipeDoor) => Promise<PipeDoor>): MediaCrossings {
  return {
    watch: (watcher: CrossingWatcher) =>
      crossings.watch({
        located: (all) => watcher.located(all),
        placed: (placement) => watcher.placed(placement),
        removed: (deviceId) => watcher.removed(deviceId),
        hosts: (hosts) => void Promise.all(hosts.map(relay)).then((doors) => watcher.hosts(doors)),
      }),
    set: (all) => crossings.set(all),
    counters: () => crossings.counters(),
  };
}

/** @returns 0 before enough is heard */
function levelOf(phone: TestPhone, since: number, hertz: number): number {
  const pcm = phone.heardSince(since);
  return pcm.length < HEARD_SAMPLES ? 0 : Math.max(1e-9, toneLevel(pcm.slice(-HEARD_SAMPLES), 8000, hertz));
}

/** Gateways of one database, and the leader's part of one of them. */
export class CrossingStage {
  readonly #store = new MemoryStore();
  readonly #edges = new KeptEdges();
  readonly #sides = new Map<string, Side>();
  #epoch = 0;
  core!: Core;
  #desk: Desk | undefined;
  readonly session: string;

  constructor() {
    this.lead();
    this.session = this.core.createSession(ACCOUNT, {}).id;
  }

  /** Another leader takes over with what is stored. */
  lead(): void {
    for (const side of this.#sides.values()) side.cut();
    this.#desk?.stop();
    this.#epoch += 1;
    const clock = new FakeClock();
    this.core = createCore({ tokenSecret: TOKEN_SECRET, store: this.#store, clock, log: silentLog });
    const desk = new Desk({ core: this.core, epoch: this.#epoch, store: this.#edges, clock, log: silentLog });
    this.#desk = desk;
    for (const side of this.#sides.values()) side.connect(desk);
  }

  /** Connects a gateway, in place of an earlier process of it. */
  connect(side: Side): void {
    this.#sides.get(side.edge.id)?.cut();
    this.#sides.set(side.edge.id, side);
    this.reconnect(side);
  }

  reconnect(side: Side): void {
    side.connect(this.#desk!);
  }

  /** A member of the session. @param hears absent: everybody */
  member(hears?: readonly string[]): string {
    const id = newParticipant(this.core);
    this.core.addToSession(ACCOUNT, this.session, id, this.#subscriptions(hears));
    return id;
  }

  subscribe(participantId: string, hears?: readonly string[]): void {
    this.core.setSubscriptions(ACCOUNT, this.session, participantId, this.#subscriptions(hears));
  }

  async stop(): Promise<void> {
    this.#desk?.stop();
    await Promise.all([...this.#sides.values()].map((side) => side.stop()));
  }

  #subscriptions(hears: readonly string[] | undefined) {
    const { session: sessionId } = this;
    return hears
      ? { sessionId, participants: hears.map((participantId) => ({ participantId })) }
      : { sessionId };
  }
}

/** Waits until so many pipes of a gateway's plane are up. */
export async function pipesUp(side: Side, count: number): Promise<void> {
  await vi.waitUntil(() => side.plane.crossings!.counters().connected === count, { timeout: 20_000 });
}
