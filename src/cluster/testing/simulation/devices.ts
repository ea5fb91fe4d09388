import { type Participant, PatchbayError, type PublishedStream } from '../../../core/index.js';
import { ACCOUNT } from '../../../core/testing/index.js';
import type { CallRecord } from '../../messages.js';
import { SimDevice, type SimEdge } from './processes.js';
import type { World } from './world.js';

/** The devices of all edges, and what they do. */
export class Devices {
  readonly all: SimDevice[] = [];
  /** Digits that must be counted: by devices that neither the core nor a death of their edge has ended. */
  readonly digits = new Map<string, SimDevice>();
  /** Devices of edge processes that died, or were given up. */
  readonly buried = new Set<SimDevice>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** A device of a participant connects at an edge. */
  connectAt(edge: SimEdge, participantId: string): void {
    const replace = this.#world.random.chance(0.7);
    edge.edge.participantOf(participantId).then(
      (participant) => {
        if (!participant || edge.isPaused || edge.isDown) return;
        const device = new SimDevice(`device-${String(this.#world.number())}`, participantId);
        device.connectedAt = this.#world.clock.now();
        this.#add(edge, device);
        this.#world.note(`${device.info.id} of ${participantId} connects at ${edge.id}`);
        this.#connected(edge, device, edge.edge.connect(participant, device, { replace }));
        this.#publish(edge, device);
      },
      () => undefined,
    );
  }

  /** One of an edge's devices does something. */
  act(edge: SimEdge): void {
    const { random } = this.#world;
    const isAwake = !edge.isPaused && !edge.isDown;
    const device = isAwake ? random.of(edge.devices.filter(({ outcome }) => outcome === 'live')) : undefined;
    if (!device) return;
    const choice = random.next();
    if (choice < 0.2) this.#publish(edge, device);
    else if (choice < 0.6) {
      const number = this.#world.number();
      this.digits.set(`dtmf ${device.info.id} ${String(number)}`, device);
      device.connection.dtmf('5', number);
    } else if (choice < 0.8) {
      device.held = !device.held;
      device.connection.hold(device.held);
    } else {
      this.#world.note(`${device.info.id} leaves`);
      device.outcome = 'left';
      device.connection.end('left');
      device.onOver();
    }
    if (device.isHere && random.chance(0.5))
      edge.saveCall(device.info.id, documentOf(device, `change ${String(this.#world.number())}`));
    const here = edge.devices.filter(({ isHere }) => isHere);
    // One that was elsewhere meanwhile may be here again.
    const isBack = (id: string): boolean => here.some(({ info }) => info.id === id);
    for (const { info } of edge.devices) if (!isBack(info.id)) edge.edge.crossings.removed(info.id);
    edge.devices = here;
  }

  /** A device of a process before goes on. @returns what rejects when it is refused */
  carryOn(edge: SimEdge, device: SimDevice): Promise<void> {
    const participant = { id: device.participantId, accountId: ACCOUNT } as Participant;
    const options = { replace: false, carriedSince: device.connectedAt, held: device.held };
    const connection = edge.edge.connect(participant, device, options);
    this.#connected(edge, device, connection);
    connection.publish(device.streams);
    return connection.admitted;
  }

  /** The call of an edge that is gone goes on at this one, as it was when it was written down last. */
  async takeCall(edge: SimEdge, { id, document }: CallRecord): Promise<boolean> {
    const { participantId, held, streams, connectedAt } = JSON.parse(document) as CallDocument;
    const device = new SimDevice(id, participantId);
    Object.assign(device, { held, streams, connectedAt });
    this.#world.note(`${id} of ${participantId} is taken over by ${edge.id}`);
    this.#add(edge, device);
    edge.records.set(id, document);
    edge.place(device);
    return this.carryOn(edge, device).then(
      () => true,
      () => false,
    );
  }

  #add(edge: SimEdge, device: SimDevice): void {
    device.onOver = () => edge.forget(device);
    this.all.push(device);
    edge.devices.push(device);
    edge.ofProcess.push(device);
  }

  #connected(edge: SimEdge, device: SimDevice, connection: ReturnType<SimEdge['edge']['connect']>): void {
    device.connection = connection;
    if (device.isHere) device.outcome = 'asked';
    connection.admitted.then(
      () => {
        if (device.outcome !== 'asked') return;
        device.outcome = 'live';
        if (!edge.records.has(device.info.id)) edge.saveCall(device.info.id, documentOf(device, 'admitted'));
      },
      (error: unknown) => {
        if (!(error instanceof PatchbayError)) throw error;
        if (device.outcome === 'asked') device.outcome = 'refused';
        device.onOver();
        edge.devices = edge.devices.filter((other) => other !== device);
      },
    );
  }

  #publish(edge: SimEdge, device: SimDevice): void {
    const streamId = `stream-${String(this.#world.number())}`;
    device.streams = this.#world.random.chance(0.8) ? [{ streamId, mediaTypes: ['audio'] }] : [];
    edge.place(device);
    device.connection.publish(device.streams);
  }
}

/** What the record of a call tells of its device. */
interface CallDocument {
  readonly text: string;
  readonly participantId: string;
  readonly held: boolean;
  readonly streams: readonly PublishedStream[];
  readonly connectedAt: number;
}

export function documentOf({ participantId, held, streams, connectedAt }: SimDevice, text: string): string {
  return JSON.stringify({ text, participantId, held, streams, connectedAt } satisfies CallDocument);
}
