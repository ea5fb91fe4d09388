import { randomUUID } from 'node:crypto';
import { type WebSocket, WebSocketServer } from 'ws';
import { type DeviceGate, type Participant, PatchbayError, type ResumePoint } from '../../core/index.js';
import type { BrowserDoor, CarriedDevice } from '../../media/index.js';
import { type CarriedPage, readPageNote } from './resumption.js';
import { type Clock, KeyedBuckets, type Log, systemClock } from '../../shared/index.js';
import { SocketGate, type SocketGateOptions } from '../socket-gate.js';
import type { UpgradeRequest, Upgrades } from '../upgrades.js';
import { DeviceTable } from './device-table.js';
import { BrowserDevice, type BrowserParts } from './browser-device.js';
import { JsonRpcFormat, speaksCircularJson } from './json-rpc.js';
import { ClientSocket, closeFor, closeForError, type SocketClose } from './client-socket.js';
import { DEFAULT_RECONNECT_TIMES, type ReconnectTimes } from './reconnect-timer.js';
import { type BrowserLimits, DEFAULT_BROWSER_LIMITS } from './limits.js';
import { LostAnswers } from './page-calls.js';

const MAX_URL_LENGTH = 8192;

const PROTOCOL_PATH = /(?:^|\/)v([23])\/?$/i;

const UNIQUE_ID = /^[\w.:@+-]{1,128}$/;

export interface BrowserServerOptions extends SocketGateOptions {
  /** Upgrade requests for `/v3/`, behind any prefix, are served. */
  readonly upgrades: Upgrades;
  readonly gate: DeviceGate;
  readonly media: BrowserDoor;
  readonly log: Log;
  readonly clock?: Clock;
  /** Limits that differ from `DEFAULT_BROWSER_LIMITS`. */
  readonly limits?: Partial<BrowserLimits>;
  readonly reconnectTimes?: Partial<ReconnectTimes>;
}

/** Counts for monitoring. */
export interface BrowserCounters {
  readonly sockets: number;
  readonly devices: number;
  /** Upgrades refused because of the limits of an address or of the gateway. */
  readonly refusedUpgrades: number;
  /** Sockets closed because their token is not valid. */
  readonly refusedTokens: number;
  /** Sockets closed because the page sent too much or something invalid, or did not read. */
  readonly abusiveSockets: number;
}

/** Serves browsers: Bandwidth's V3 protocol, JSON-RPC 2.0 over WebSocket. */
export class BrowserServer {
  readonly #sockets: WebSocketServer;
  readonly #parts: BrowserParts;
  readonly #devices = new DeviceTable();
  readonly #gate: SocketGate;
  readonly #newDevices: KeyedBuckets;
  readonly #stopServing: () => void;
  #refusedTokens = 0;
  #abusiveSockets = 0;
  #stopping = false;

  constructor(options: BrowserServerOptions) {
    options.gate.registerKind('browser');
    const limits = { ...DEFAULT_BROWSER_LIMITS, ...options.limits };
    const clock = options.clock ?? systemClock;
    this.#parts = {
      gate: options.gate,
      media: options.media,
      clock,
      lostAnswers: new LostAnswers(clock),
      limits,
      reconnectTimes: { ...DEFAULT_RECONNECT_TIMES, ...options.reconnectTimes },
      log: options.log,
    };
    this.#gate = new SocketGate(limits, clock, options);
    this.#newDevices = new KeyedBuckets(limits.devices);
    // No compression: it costs memory for each socket, and a small message could inflate to a huge one.
    const socketOptions = {
      noServer: true,
      perMessageDeflate: false,
      maxPayload: limits.messageBytes,
      closeTimeout: limits.closeMs,
    };
    this.#sockets = new WebSocketServer(socketOptions);
    this.#stopServing = options.upgrades.serve((upgrade) => this.#onUpgrade(upgrade));
  }

  /** Goes on with the pages whose media an earlier gateway left; they have time to come back. */
  async restore(carried: readonly CarriedDevice[]): Promise<void> {
    for (const device of carried) {
      const note = device.kind === 'browser' ? readPageNote(device.note) : undefined;
      if (note) await this.#goOn({ device, note });
    }
  }

  counters(): BrowserCounters {
    return {
      sockets: this.#gate.sockets,
      devices: this.#devices.size,
      refusedUpgrades: this.#gate.refused,
      refusedTokens: this.#refusedTokens,
      abusiveSockets: this.#abusiveSockets,
    };
  }

  /** Takes no more sockets, and closes those that are open with a code after which clients reconnect. */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#devices.stop();
    this.#stopServing();
    this.#sockets.close();
    return Promise.resolve();
  }

  #onUpgrade(upgrade: UpgradeRequest): boolean {
    const asked = parseSocketRequest(upgrade.request.url ?? '/');
    if (!asked) return false;
    this.#enter(asked, upgrade).catch((error: unknown) => {
      this.#parts.log.error({ err: error }, 'A browser could not be let in.');
      upgrade.stream.destroy();
    });
    return true;
  }

  async #enter(asked: SocketRequest, { request, stream, head }: UpgradeRequest): Promise<void> {
    const address = await this.#gate.enter(request, stream, () => this.#isHere(asked));
    if (address === undefined) return;
    // Before the upgrade, since the page's messages come from then on.
    const page = asked.version === 'V2' ? undefined : await this.#pageOf(asked);
    this.#sockets.handleUpgrade(request, stream, head, (socket) =>
      this.#accept(socket, asked, { page, address }),
    );
  }

  /**
   * A socket that is refused is accepted and closed: after any other refusal, and after any code but 1000, clients retry
   * every second for ever.
   */
  #accept(
    socket: WebSocket,
    asked: SocketRequest,
    { page, address }: { readonly page: Page | PatchbayError | undefined; readonly address: string },
  ): void {
    const close = ({ code, reason }: SocketClose): void => {
      socket.on('error', () => undefined);
      socket.close(code, reason);
    };
    if (!page) {
      this.#refusedTokens += 1;
      close({ code: 1000, reason: 'Only version 3 of the device API is served.' });
      return;
    }
    if (page instanceof PatchbayError) {
      close(this.#refused(page, { ...asked, address }));
      return;
    }
    const present = this.#devices.find(page.participant.id, asked.uniqueId);
    if (present) present.reattach(this.#clientSocket(socket, asked, present));
    else this.#connect(socket, asked, { page, address });
  }

  /** Counts and logs that a page was refused. @returns how its socket is closed */
  #refused(
    error: PatchbayError,
    { uniqueId: deviceId, token, address }: Pick<SocketRequest, 'uniqueId' | 'token'> & { address: string },
  ): SocketClose {
    const close = closeForError(error);
    if (close.code === 1000) this.#refusedTokens += 1;
    const tell = (participant?: Participant): void => {
      const ids = participant && { participantId: participant.id, account: participant.accountId };
      this.#parts.log.info({ code: error.code, deviceId, address, ...ids }, 'a browser was refused');
    };
    this.#parts.gate.authenticate(token, { ignoreExpiry: true }).then(tell, () => tell());
    return close;
  }

  /** Whether the page reconnects to a device that is here. It is let in even under overload. */
  async #isHere({ token, uniqueId }: SocketRequest): Promise<boolean> {
    try {
      const { id } = await this.#parts.gate.authenticate(token, { ignoreExpiry: true });
      return this.#devices.find(id, uniqueId) !== undefined;
    } catch (error) {
      if (error instanceof PatchbayError) return false;
      throw error;
    }
  }

  /** @returns why the page is refused, if it is */
  async #pageOf(asked: SocketRequest): Promise<Page | PatchbayError> {
    const { gate } = this.#parts;
    try {
      const participant = await this.#authenticate(asked);
      if (this.#devices.find(participant.id, asked.uniqueId)) return { participant, known: undefined };
      await gate.admitDevice(participant);
      return { participant, known: await gate.resumePoint(participant.id, asked.uniqueId) };
    } catch (error) {
      if (error instanceof PatchbayError) return error;
      throw error;
    }
  }

  /** A page may reconnect to its device with a token that has expired meanwhile. */
  async #authenticate({ token, uniqueId }: SocketRequest): Promise<Participant> {
    const { gate } = this.#parts;
    try {
      return await gate.authenticate(token);
    } catch (error) {
      if (!(error instanceof PatchbayError) || error.code !== 'PATCHBAY_TOKEN_EXPIRED') throw error;
      const participant = await gate.authenticate(token, { ignoreExpiry: true });
      if (this.#devices.find(participant.id, uniqueId)) return participant;
      throw error;
    }
  }

  #connect(
    socket: WebSocket,
    asked: SocketRequest,
    { page: { participant, known }, address }: { page: Page; address: string },
  ): void {
    if (this.#stopping) {
      const { code, reason } = closeFor('shutdown');
      socket.close(code, reason);
      return;
    }
    if (!this.#newDevices.take(participant.id, this.#parts.clock.monotonic())) {
      socket.close(1013, 'Too many new devices of this participant: try again later.');
      return;
    }
    const identity = { id: randomUUID(), uniqueId: asked.uniqueId, participant, known };
    const device = new BrowserDevice(identity, this.#parts, {
      refused: (error) => this.#refused(error, { ...asked, address }),
      ended: (ended) => this.#devices.remove(ended),
    });
    this.#devices.add(device);
    device.attach(this.#clientSocket(socket, asked, device));
    device.log.info({ address, sdkVersion: asked.sdkVersion }, 'browser connected');
  }

  async #goOn(carried: CarriedPage): Promise<void> {
    const { participantId, uniqueId } = carried.note;
    const { gate, log } = this.#parts;
    const participant = await gate.participantOf(participantId);
    // It was deleted while no gateway ran: `releaseCarried` closes its media.
    if (!participant) return;
    const known = await gate.resumePoint(participantId, uniqueId);
    const identity = { id: carried.device.deviceId, uniqueId, participant, known, carried };
    const device = new BrowserDevice(identity, this.#parts, {
      refused: (error) => {
        log.warn({ err: error, participantId }, 'A browser of the previous gateway cannot go on.');
        return closeForError(error);
      },
      ended: (ended) => this.#devices.remove(ended),
    });
    this.#devices.add(device);
    device.log.info({}, 'A browser of the previous gateway goes on.');
  }

  #clientSocket(socket: WebSocket, asked: SocketRequest, user: BrowserDevice): ClientSocket {
    const { clock, limits } = this.#parts;
    const format = new JsonRpcFormat({ circular: speaksCircularJson(asked.sdkVersion) });
    const abused = (): void => void (this.#abusiveSockets += 1);
    return new ClientSocket({ socket, format, user, limits, clock, log: user.log, abused });
  }
}

/** A page that may connect. */
interface Page {
  readonly participant: Participant;
  readonly known: ResumePoint | undefined;
}

/** What the URL of a WebSocket says about the client. */
interface SocketRequest {
  readonly version: 'V3' | 'V2';
  readonly token: string;
  /** Stays the same when a client object reconnects. */
  readonly uniqueId: string;
  readonly sdkVersion: string;
}

/**
 * Reads the request target of an upgrade: `/v3`, `/v3/` or `//v3/`, behind any path prefix.
 * @returns undefined when the path is another one
 */
export function parseSocketRequest(target: string): SocketRequest | undefined {
  if (target.length > MAX_URL_LENGTH) return undefined;
  // `new URL` would read the `v3` of `//v3/` as a host.
  const queryAt = target.indexOf('?');
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  const version = PROTOCOL_PATH.exec(path)?.[1];
  if (version === undefined) return undefined;
  const query = new URLSearchParams(queryAt < 0 ? '' : target.slice(queryAt + 1));
  const uniqueId = query.get('uniqueId') ?? '';
  return {
    version: version === '3' ? 'V3' : 'V2',
    token: query.get('token') ?? '',
    uniqueId: UNIQUE_ID.test(uniqueId) ? uniqueId : randomUUID(),
    sdkVersion: (query.get('sdkVersion') ?? '').slice(0, 32),
  };
}
