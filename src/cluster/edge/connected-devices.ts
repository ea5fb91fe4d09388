import type {
  AskedConnection,
  ConnectOptions,
  Device,
  FailedCall,
  Participant,
  PatchbayError,
} from '../../core/index.js';
import type { Clock } from '../../shared/index.js';
import { errorOf } from '../failures.js';
import type { FromEdge, FromLeader, HistoryEvent } from '../messages.js';
import { EdgeConnection } from './edge-connection.js';
import { History } from './history.js';
import type { Traces } from './traces.js';

interface ConnectedDevicesParts {
  /** Sends to the leader, if there is one. */
  readonly tell: (message: FromEdge) => void;
  /** Another edge has the call of a device. */
  readonly givenAway: (deviceId: string) => void;
  /** A device is connected from now on. */
  readonly connected: (deviceId: string) => void;
  /** Whether a device that is none of the edge's may be connected yet. */
  readonly mayCome: (deviceId: string) => boolean;
  readonly traces: Traces | undefined;
  readonly clock: Clock;
}

/** The devices of an edge, and what happened at it that the leader has not counted yet. */
export class ConnectedDevices {
  readonly #parts: ConnectedDevicesParts;
  readonly #connections = new Map<string, EdgeConnection>();
  /** Those that are over, while the leader has not acknowledged all of their history. */
  readonly #over = new Set<EdgeConnection>();
  readonly #history = new History();
  readonly #awaitAcknowledged: (() => void)[] = [];

  constructor(parts: ConnectedDevicesParts) {
    this.#parts = parts;
  }

  /** Devices whose connection is not over. */
  get size(): number {
    return this.#connections.size - this.#over.size;
  }

  /** Events that the leader has not acknowledged, and those that were dropped because too many were kept. */
  get history(): { readonly waiting: number; readonly dropped: number } {
    return { waiting: this.#history.size, dropped: this.#history.dropped };
  }

  /** Whether the leader has counted all that there was, and nobody is connected. */
  get isEmpty(): boolean {
    return this.#history.size === 0 && this.#connections.size === 0;
  }

  /** Resolves when the leader has counted all that happened so far. */
  async whenAcknowledged(): Promise<void> {
    if (this.#history.size > 0) await new Promise<void>((resolve) => this.#awaitAcknowledged.push(resolve));
  }

  /** All that a leader must know. */
  state(): Pick<Extract<FromEdge, { readonly type: 'hello' }>, 'devices' | 'history'> {
    return {
      devices: Array.from(this.#connections.values(), (connection) => ({
        ...connection.state(),
        hasEnded: connection.phase === 'over',
      })),
      history: this.#history.entries(),
    };
  }

  /** Whether the edge has a device, or had it until just now; not one that another edge had after it. */
  has(deviceId: string): boolean {
    return this.#connections.get(deviceId)?.wasTakenOver === false;
  }

  /** A device that is not over. */
  find(deviceId: string): Device | undefined {
    const connection = this.#connections.get(deviceId);
    return connection?.phase === 'over' ? undefined : connection?.device;
  }

  /** @param refusal why no device is taken now */
  connect(
    participant: Participant,
    device: Device,
    options: ConnectOptions,
    refusal: PatchbayError | undefined,
  ): AskedConnection {
    const { clock, traces, tell, connected } = this.#parts;
    const now = clock.now();
    const connection = new EdgeConnection(
      { device, participant, options, now },
      {
        happened: (event) => this.#happened(event),
        changed: (deviceId, change) => tell({ type: 'state', deviceId, change }),
        over: (ended, reason) => {
          if (reason !== undefined) traces?.left(device.info, participant.accountId, reason);
          this.#ended(ended);
        },
      },
    );
    if (refusal) {
      connection.wasRefused(refusal);
      return connection;
    }
    this.#connections.set(device.info.id, connection);
    connected(device.info.id);
    if (options.carriedSince === undefined) traces?.connected(device.info, participant.accountId);
    else traces?.carriedOver(device.info, participant.accountId);
    connection.asks();
    return connection;
  }

  callFailed({ id, accountId }: Pick<Participant, 'id' | 'accountId'>, call: FailedCall): void {
    this.#parts.traces?.callFailed(call, accountId);
    this.#happened({ type: 'callFailed', participantId: id, call });
  }

  /** Tells the leader what each device publishes: it may not have known all of them. */
  tellStreams(): void {
    for (const [deviceId, connection] of this.#connections) {
      if (connection.phase === 'over') continue;
      const { streams } = connection.state().state;
      this.#parts.tell({ type: 'state', deviceId, change: { part: 'streams', streams } });
    }
  }

  /** The leader has counted what happened up to this number. */
  acknowledged(number: number): void {
    this.#history.acknowledged(number);
    if (this.#history.size === 0) for (const tell of this.#awaitAcknowledged.splice(0)) tell();
    for (const connection of this.#over) this.#ended(connection);
  }

  /** What the leader says of one device. */
  told(message: Extract<FromLeader, { readonly deviceId: string }>): void {
    const connection = this.#connections.get(message.deviceId);
    if (!connection || connection.phase === 'over') {
      this.#toldTooLate(message);
      return;
    }
    const { device } = connection;
    switch (message.type) {
      case 'admitted':
        connection.wasAdmitted(message.order, message.participant);
        return;
      case 'refused':
        connection.wasRefused(errorOf(message.failure));
        return;
      case 'deliver':
        connection.deliver(message);
        return;
      case 'watchLevels':
        device.watchLevels(message.isWatched);
        return;
      case 'byeHeaders':
        device.capabilities.setByeHeaders?.(message.headers);
        return;
      case 'participant':
        connection.participant = message.participant;
        return;
      case 'speech':
        device.capabilities.hearSpeech?.(message.streamId, message.speech);
        return;
      case 'close':
        if (message.reason === 'taken-over') this.#parts.givenAway(message.deviceId);
        connection.wasClosed(message.reason);
        this.#parts.tell({ type: 'closed', deviceId: message.deviceId, last: connection.lastNumber });
    }
  }

  /** The device has ended meanwhile. */
  #toldTooLate(message: Extract<FromLeader, { readonly deviceId: string }>): void {
    const { deviceId } = message;
    const known = this.#connections.get(deviceId);
    if (message.type === 'close' && message.reason === 'taken-over') {
      this.#parts.givenAway(deviceId);
      // A BYE may still wait that was not sent while the edge was cut off.
      known?.tookOver();
    }
    // One that is not connected yet, of a process before or another edge: the leader closes it again when it is.
    if (message.type === 'close' && (known || !this.#parts.mayCome(deviceId)))
      this.#parts.tell({ type: 'closed', deviceId, last: known?.lastNumber ?? 0 });
  }

  #happened(event: HistoryEvent): number {
    const entry = this.#history.add(event);
    this.#parts.tell({ type: 'history', entry });
    return entry.number;
  }

  /** Keeps the connection until the leader has acknowledged all of its history. */
  #ended(connection: EdgeConnection): void {
    if (connection.lastNumber > this.#history.acknowledgedTo) {
      this.#over.add(connection);
      return;
    }
    this.#over.delete(connection);
    const { id } = connection.device.info;
    // Another edge may have had it meanwhile, and this one again.
    if (this.#connections.get(id) === connection) this.#connections.delete(id);
  }
}
