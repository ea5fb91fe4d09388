import { connect } from 'node:net';
import { NO_COUNTERS } from '../counters.js';
import { NO_CROSSINGS } from '../crossing/index.js';
import type { CrossingCounters, MediaCounters, MediaPlaneEvent } from '../door.js';
import { MediaError } from '../types.js';
import {
  type AnyRequest,
  type ArgumentsOf,
  type CarriedState,
  type DeviceEvent,
  type FromHost,
  type Hello,
  type HelloAnswer,
  type HostLoad,
  type RequestName,
  type ResultOf,
  type ToHost,
} from './messages.js';
import { type AudioMessage, MessageSocket } from './message-socket.js';
import { pidNamespace } from './processes.js';

/** How long a host may take to answer a hello, and its plane to be made. */
const WELCOME_MS = 10_000;

/** A host has taken the connection, but does not answer. */
export class SilentHost extends Error {
  override readonly name = 'SilentHost';
}

interface LinkHandlers {
  /** What a program receives. */
  onAudio(message: AudioMessage): void;
  onEvent(deviceId: string, event: DeviceEvent): void;
  onPlaneEvent(event: MediaPlaneEvent): void;
  /** The host is dead, or has another gateway. */
  onLost(): void;
}

/** A host did not accept the gateway. */
export class HostRefusal extends Error {
  override readonly name = 'HostRefusal';

  constructor(readonly reason: Extract<HelloAnswer, { type: 'refused' }>['cause']) {
    super(`The media host refused the gateway: ${reason}.`);
  }
}

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** A gateway's connection to one media host. */
export class HostLink {
  readonly id: string;
  /** Absent when the host runs in another container, where it cannot be killed from here. */
  readonly pid: number | undefined;
  /** Resolves when the connection is lost. */
  readonly closed: Promise<void>;
  #isClosed: () => void = () => undefined;
  readonly webrtcPort: number;
  readonly isRetired: boolean;
  /** The devices that it carried when the gateway came. */
  readonly carried: readonly CarriedState[];
  /** The hosts that it had pipes from then. */
  readonly pipes: readonly string[];
  /** Where it takes pipes of other gateways' hosts, if it does. */
  readonly pipePort: number | undefined;
  /** When the last message came, by `performance.now()`. */
  heardAt = performance.now();
  /** The host has a newer gateway. */
  isSuperseded = false;
  load: HostLoad | undefined;
  counters: MediaCounters = NO_COUNTERS;
  crossings: CrossingCounters = NO_CROSSINGS;
  #handlers: LinkHandlers | undefined;
  /** Events that came before {@link handle} was called. */
  #early: FromHost[] | undefined = [];
  readonly #socket: MessageSocket<FromHost, ToHost>;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #isLost = false;

  private constructor(
    id: string,
    socket: MessageSocket<FromHost, ToHost>,
    welcome: Extract<HelloAnswer, { type: 'welcome' }>,
  ) {
    this.id = id;
    this.#socket = socket;
    this.pid = welcome.pidNamespace === pidNamespace() ? welcome.pid : undefined;
    this.closed = new Promise((resolve) => (this.#isClosed = resolve));
    this.webrtcPort = welcome.webrtcPort;
    this.isRetired = welcome.isRetired;
    this.carried = welcome.devices;
    this.pipes = welcome.pipes;
    this.pipePort = welcome.pipePort;
  }

  /**
   * Connects to a host and greets it.
   * @throws HostRefusal, SilentHost, or Error with the code of the system (ECONNREFUSED: its process is dead)
   */
  static open(
    id: string,
    path: string,
    hello: Omit<Hello, 'type'>,
    welcomeMs = WELCOME_MS,
  ): Promise<HostLink> {
    return new Promise((resolve, reject) => {
      const stream = connect(path);
      let link: HostLink | undefined;
      const limit = setTimeout(
        () => stream.destroy(new SilentHost('The media host does not answer.')),
        welcomeMs,
      );
      const take = (message: FromHost): void => {
        if (link) {
          link.#take(message);
          return;
        }
        clearTimeout(limit);
        if (message.type === 'welcome') {
          link = new HostLink(id, socket, message);
          resolve(link);
        } else {
          reject(
            message.type === 'refused'
              ? new HostRefusal(message.cause)
              : new Error('What listens there is not a media host.'),
          );
          stream.destroy();
        }
      };
      const takeAudio = (message: AudioMessage): void => {
        if (link) link.#handlers?.onAudio(message);
      };
      const socket: MessageSocket<FromHost, ToHost> = new MessageSocket(stream, take, takeAudio);
      stream.on('connect', () => socket.send({ type: 'hello', ...hello }));
      stream.on('error', reject);
      stream.on('close', () => {
        clearTimeout(limit);
        if (link) link.#lost();
        else reject(new Error('The media host closed the connection.'));
      });
    });
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Sets who handles messages. Those that came earlier are handled at once. */
  handle(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const message of early) this.#take(message);
    if (this.#isLost) handlers.onLost();
  }

  /** @throws MediaError by rejection: what the host reports; INVALID_STATE when the host is lost before it answers */
  request<N extends RequestName>(name: N, args: ArgumentsOf<N>): Promise<ResultOf<N>> {
    if (this.#isLost) return Promise.reject(hostLost());
    const id = this.#nextId;
    this.#nextId += 1;
    // The members of the union are the pairs of N and its arguments; the compiler does not see that.
    const request = { name, ...args } as unknown as AnyRequest;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send({ type: 'request', id, request });
    });
  }

  /** Keeps a note with a device. What is written survives this process. */
  keep(deviceId: string, note: string): void {
    if (!this.#isLost) this.#socket.send({ type: 'keep', deviceId, note });
  }

  sendToPhonesFor(ms: number): void {
    if (!this.#isLost) this.#socket.send({ type: 'sendToPhones', ms });
  }

  watchLevels(deviceId: string, isWatched: boolean): void {
    if (!this.#isLost) this.#socket.send({ type: 'levels', deviceId, isWatched });
  }

  /** Gives a program's audio to its host. @returns false if it is lost, since the host does not keep up */
  play(deviceId: string, pcm: Buffer): boolean {
    return !this.#isLost && this.#socket.sendAudio({ deviceId, pcm });
  }

  mark(deviceId: string, mark: string): void {
    if (!this.#isLost) this.#socket.send({ type: 'mark', deviceId, mark });
  }

  clear(deviceId: string): void {
    if (!this.#isLost) this.#socket.send({ type: 'clear', deviceId });
  }

  /** Cuts the connection; the host then waits for another gateway. */
  destroy(): void {
    this.#socket.destroy();
  }

  #take(message: FromHost): void {
    this.heardAt = performance.now();
    if (this.#early && (message.type === 'event' || message.type === 'plane')) {
      this.#early.push(message);
      return;
    }
    switch (message.type) {
      case 'result':
        this.#settle(message.id)?.resolve(message.result as never);
        return;
      case 'failure': {
        const { code, message: text } = message;
        this.#settle(message.id)?.reject(code ? new MediaError(code, text) : new Error(text));
        return;
      }
      case 'event':
        this.#handlers?.onEvent(message.deviceId, message.event);
        return;
      case 'plane':
        this.#handlers?.onPlaneEvent(message.event);
        return;
      case 'beat':
        this.load = message.load;
        // A host of an older version does not count everything.
        this.counters = { ...NO_COUNTERS, ...message.counters };
        this.crossings = { ...NO_CROSSINGS, ...message.crossings };
        return;
      case 'refused':
        this.isSuperseded = true;
        return;
      // Only the first message is a welcome.
      case 'welcome':
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #lost(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#isClosed();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(hostLost());
    this.#handlers?.onLost();
  }
}

function hostLost(): MediaError {
  return new MediaError('INVALID_STATE', 'The media host is lost.');
}
