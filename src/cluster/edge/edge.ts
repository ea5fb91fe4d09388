import {
  type AskedConnection,
  type ConnectOptions,
  type Device,
  type DeviceGate,
  type DeviceInfo,
  type DeviceKind,
  type FailedCall,
  type Participant,
  PatchbayError,
  type ResumePoint,
} from '../../core/index.js';
import type { Clock, Log } from '../../shared/index.js';
import type { Address, FromEdge, FromLeader, Link, LinkListener } from '../messages.js';
import { Asking } from './asking.js';
import { CallsToTake, type TakeOver } from './calls-to-take.js';
import { carryOut } from './carry-out.js';
import { ConnectedDevices } from './connected-devices.js';
import { EdgeCalls } from './edge-calls.js';
import { EdgeCrossings } from './edge-crossings.js';
import { EdgeLease } from './edge-lease.js';
import type { Traces } from './traces.js';

interface EdgeOptions {
  /** Names the edge, the same over restarts. */
  readonly edgeId: string;
  /** Names this process of it. */
  readonly process: string;
  /** Devices of the process before go on, and are not connected yet: {@link Edge.restored} says when. Default: no. */
  readonly isRestoring?: boolean;
  /** How long it has its calls to itself while it is cut off, in ms: see {@link EdgeLease}. Default: for ever. */
  readonly leaseMs?: number | undefined;
  /** Where the gateway listens for others. Default: nowhere. */
  readonly address?: Address | undefined;
  /** Whether it goes on with calls of edges that are gone. Default: no. */
  readonly takesOver?: boolean;
  /** What is kept of the signalling of its calls. Default: nothing. */
  readonly traces?: Traces | undefined;
  /** Whether a token is valid now, as far as is known here. */
  readonly recognizes: (token: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The core as the devices of this gateway see it: passes on to the leader what they do, and to them what it wants. It is
 * driven by state: each connection to a leader begins with all that the edge has, and the leader answers with all that it
 * wants. What is history and not state is kept until the leader has acknowledged it.
 */
export class Edge implements DeviceGate {
  /** Where phones keep what another process needs to go on with them. */
  readonly calls: EdgeCalls;
  /** Streams between this gateway's media hosts and others'. */
  readonly crossings = new EdgeCrossings((message) => this.#link?.send(message));
  readonly lease: EdgeLease;
  readonly #options: EdgeOptions;
  readonly #devices: ConnectedDevices;
  readonly #kinds = new Set<DeviceKind>();
  readonly #asking = new Asking();
  #link: Link<FromEdge> | undefined;
  /** Of the newest leader that was seen; 0: none was. */
  #epoch = 0;
  #isRestoring: boolean;
  #isDraining = false;
  #isSettled = false;
  /** Who waits for {@link whenSettled}. */
  #awaitSettled: (() => void)[] = [];
  readonly #toTake: CallsToTake;

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.lease = new EdgeLease({
      ms: options.leaseMs,
      ask: (at, stamp) => this.#link?.send({ type: 'alive', at, stamp }),
      clock: options.clock,
    });
    this.#isRestoring = options.isRestoring ?? false;
    this.calls = new EdgeCalls({
      tell: (message) => this.#link?.send(message),
      ask: (after) => this.#asking.askWhoeverLeads('calls', { after }),
    });
    this.#toTake = new CallsToTake({
      calls: this.calls,
      hasDevice: (id) => this.#devices.has(id),
      isReady: () => !this.#isRestoring,
      log: options.log,
    });
    this.#devices = new ConnectedDevices({
      tell: (message) => this.#link?.send(message),
      givenAway: (id) => this.calls.givenAway(id),
      connected: (id) => this.#toTake.connected(id),
      mayCome: (id) => this.#isRestoring || this.#toTake.has(id),
      traces: options.traces,
      clock: options.clock,
    });
  }

  get id(): string {
    return this.#options.edgeId;
  }

  get isConnected(): boolean {
    return this.#link !== undefined;
  }

  /** Devices whose connection is not over. */
  get devices(): number {
    return this.#devices.size;
  }

  /** Events that the leader has not acknowledged, and those that were dropped because too many were kept. */
  get history(): { readonly waiting: number; readonly dropped: number } {
    return this.#devices.history;
  }

  /** Whether the devices receive all that the present leader wants: see {@link whenSettled}. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /**
   * Resolves when the devices receive all that the present leader, or the next one, wants. A new leader waits for other
   * gateways before it says what devices receive; until then they keep what they had.
   */
  async whenSettled(): Promise<void> {
    if (!this.#isSettled) await new Promise<void>((resolve) => this.#awaitSettled.push(resolve));
  }

  /** Resolves when the leader has counted all that happened so far. */
  whenAcknowledged(): Promise<void> {
    return this.#devices.whenAcknowledged();
  }

  /** From now on devices are refused at this edge, as `PATCHBAY_SHUTTING_DOWN`; those that are connected stay. */
  drain(): void {
    this.#isDraining = true;
    this.#link?.send({ type: 'takesNoCalls' });
  }

  /** This process stops for good. To be called when all is acknowledged: if it is not, or calls are left, the leader waits. */
  leave(): void {
    if (this.#devices.isEmpty && !this.calls.hasAny) this.#link?.send({ type: 'leaves' });
  }

  /**
   * Has calls of edges that are gone taken over, those that were given to this one before too.
   * @param takeOver connects the call's device as one that was carried on; resolves with whether it can. If not, the call ends
   */
  onTakeOver(takeOver: TakeOver): void {
    this.#toTake.onTakeOver(takeOver);
  }

  /** All devices that the process before has left are connected: the leader gives up those that are not. */
  restored(): void {
    if (!this.#isRestoring) return;
    this.#isRestoring = false;
    this.#devices.tellStreams();
    this.#link?.send({ type: 'complete' });
    this.#toTake.go();
  }

  /** Goes on with a leader: tells it all that the edge has. @returns what receives the leader's messages */
  connectTo(link: Link<FromEdge>): LinkListener<FromLeader> {
    this.#disconnected();
    this.#link = link;
    link.send({
      type: 'hello',
      edgeId: this.#options.edgeId,
      process: this.#options.process,
      kinds: [...this.#kinds],
      isComplete: !this.#isRestoring,
      ...this.#devices.state(),
      located: this.crossings.stated,
      address: this.#options.address,
      takesOver: this.#takesOver,
    });
    this.lease.connected();
    this.#asking.connected(link);
    this.calls.tellAll();
    return {
      received: (message) => {
        if (link === this.#link) this.#received(message);
      },
      closed: () => {
        if (link === this.#link) this.#disconnected();
      },
    };
  }

  registerKind(kind: DeviceKind): void {
    this.#kinds.add(kind);
    this.#link?.send({ type: 'kind', kind });
  }

  recognizes(token: string): boolean {
    return this.#options.recognizes(token);
  }

  authenticate(token: string, options?: { readonly ignoreExpiry?: boolean }): Promise<Participant> {
    return this.#asking.ask('authenticate', { token, ignoreExpiry: options?.ignoreExpiry ?? false });
  }

  async admitDevice({ id, accountId }: Pick<Participant, 'id' | 'accountId'>): Promise<void> {
    if (this.#isDraining) throw shuttingDown();
    await this.#asking.ask('admitDevice', { participantId: id, accountId });
  }

  async participantOf(participantId: string): Promise<Participant | undefined> {
    return (await this.#asking.ask('participantOf', { participantId })) ?? undefined;
  }

  async connectedDevice(participantId: string): Promise<DeviceInfo | undefined> {
    return (await this.#asking.ask('connectedDevice', { participantId })) ?? undefined;
  }

  async resumePoint(participantId: string, externalId: string): Promise<ResumePoint | undefined> {
    return (await this.#asking.ask('resumePoint', { participantId, externalId })) ?? undefined;
  }

  async flush(): Promise<void> {
    await this.#asking.ask('flush', {});
  }

  connect(participant: Participant, device: Device, options: ConnectOptions): AskedConnection {
    const refusal = this.#isDraining ? shuttingDown() : undefined;
    return this.#devices.connect(participant, device, options, refusal);
  }

  callFailed(participant: Pick<Participant, 'id' | 'accountId'>, call: FailedCall): void {
    this.#devices.callFailed(participant, call);
  }

  #received(message: FromLeader): void {
    switch (message.type) {
      case 'welcome':
        this.#welcomed(message.epoch, message.acknowledged);
        return;
      case 'acknowledged':
        this.#devices.acknowledged(message.number);
        return;
      case 'settled':
        this.#isSettled = true;
        for (const tell of this.#awaitSettled.splice(0)) tell();
        return;
      case 'callsSaved':
        this.calls.saved(message.revision);
        return;
      case 'answer':
        this.#asking.answered(message);
        return;
      case 'failed':
        this.#asking.failed(message.id, message.failure);
        return;
      case 'crossings':
        this.crossings.take(message);
        return;
      case 'lease':
        this.lease.answered(message.at, message.stamp);
        return;
      case 'takeOver':
        this.#toTake.give(message.call);
        return;
      case 'admitted':
      case 'refused':
      case 'deliver':
      case 'watchLevels':
      case 'byeHeaders':
      case 'participant':
      case 'speech':
      case 'close':
        this.#devices.told(message);
        return;
      case 'command':
        void this.#command(message);
    }
  }

  get #takesOver(): boolean {
    return this.#options.takesOver === true && !this.#isDraining;
  }

  async #command(message: Extract<FromLeader, { readonly type: 'command' }>): Promise<void> {
    const link = this.#link;
    const { traces, log } = this.#options;
    const deviceOf = (deviceId: string): Device | undefined => this.#devices.find(deviceId);
    const { id, ...command } = message;
    link?.send(await carryOut(id, command, { deviceOf, traces, log }));
  }

  #welcomed(epoch: number, acknowledged: number): void {
    if (epoch < this.#epoch) {
      // A leader that does not know yet that it is deposed.
      this.#link?.close();
      this.#disconnected();
      return;
    }
    this.#epoch = epoch;
    this.#devices.acknowledged(acknowledged);
  }

  #disconnected(): void {
    this.#link = undefined;
    this.#isSettled = false;
    this.#asking.disconnected();
    this.lease.disconnected();
  }
}

function shuttingDown(): PatchbayError {
  return new PatchbayError('PATCHBAY_SHUTTING_DOWN', 'The gateway is shutting down.');
}
