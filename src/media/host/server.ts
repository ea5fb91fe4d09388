import { timingSafeEqual } from 'node:crypto';
import { chmod, unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { settledWithin } from '../../shared/index.js';
import type { MediaListener, MediaPlane, MediaPlaneEvent } from '../door.js';
import { HostCrossings } from '../crossing/index.js';
import type { RemoteStreams } from '../live-streams.js';
import { MediaError, type MediaPlaneOptions } from '../types.js';
import { type HostFolder, HostLog } from './folder.js';
import {
  type AnyRequest,
  type DeviceEvent,
  type FromHost,
  type Hello,
  type HelloAnswer,
  type HostOptions,
  optionsKey,
  PROTOCOL,
  type ToHost,
} from './messages.js';
import { type AudioMessage, MessageSocket } from './message-socket.js';
import { HostPipes } from './host-pipes.js';
import { logByEvents } from '../plane.js';
import { HostedDevice } from './hosted-device.js';
import { LoadWatch, pidNamespace } from './processes.js';

const BEAT_MS = 500;
/** How long a connection may take to greet. */
const HELLO_MS = 10_000;
/** How long closing everything may take. */
const CLOSE_MS = 2_000;

export interface HostServerOptions {
  readonly id: string;
  readonly folder: HostFolder;
  readonly version: string;
  /** How long to wait for the first gateway, in ms. */
  readonly handoverMs: number;
  readonly makePlane: (options: MediaPlaneOptions, listener: MediaListener<MediaPlaneEvent>) => HostedPlane;
  /** The host has nothing more to do. */
  readonly onEnd: () => void;
}

/** A plane for a host. */
export interface HostedPlane {
  readonly plane: MediaPlane;
  /** Streams of other hosts, and this one's for them. */
  readonly streams: RemoteStreams;
  /** Takes the UDP port for browsers. @throws MediaError NO_PORT by rejection */
  webrtcPort(): Promise<number>;
}

/** A gateway that is connected and was accepted. */
interface Gateway {
  readonly epoch: number;
  readonly link: MessageSocket<ToHost, FromHost>;
}

/**
 * A media host: a media plane that serves one gateway after the other over a Unix socket. It goes on while no gateway is
 * there, and ends when none comes in time.
 */
export class HostServer {
  readonly #options: HostServerOptions;
  readonly #server: Server;
  readonly #log: HostLog;
  readonly #devices = new Map<string, HostedDevice>();
  readonly #load = new LoadWatch();
  #plane: MediaPlane | undefined;
  /** The options of the plane, as the first gateway gave them. */
  #planeOptions = '';
  #webrtcPort = 0;
  #gateway: Gateway | undefined;
  #pipes: HostPipes | undefined;
  #crossings: HostCrossings | undefined;
  /** The highest epoch that was accepted. */
  #epoch = 0;
  #handoverMs: number;
  #handover: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;
  #ending = false;

  constructor(options: HostServerOptions) {
    this.#options = options;
    this.#handoverMs = options.handoverMs;
    this.#log = new HostLog(options.folder.logOf(options.id));
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Listens for gateways. @throws Error by rejection when the socket cannot be made */
  async start(): Promise<void> {
    const path = this.#options.folder.socketOf(this.#options.id);
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
    await chmod(path, 0o600);
    this.#waitForGateway();
    this.#beat = setInterval(() => this.#sendBeat(), BEAT_MS);
  }

  /** Closes all devices and ends. */
  async end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    clearTimeout(this.#handover);
    clearInterval(this.#beat);
    this.#load.stop();
    this.#server.close();
    const { id, folder } = this.#options;
    // First, so that no gateway connects to a host that is ending.
    await unlink(folder.socketOf(id)).catch(() => undefined);
    const closing = Promise.all([
      Promise.resolve(this.#pipes?.close()),
      Promise.resolve(this.#crossings?.close()),
      Promise.resolve(this.#plane?.stop()),
    ]);
    await settledWithin(closing, CLOSE_MS);
    await folder.forget(id);
    this.#gateway?.link.end();
    this.#options.onEnd();
  }

  /** Writes to the gateway's log or, while there is none, to the host's own. */
  get log(): MediaListener<MediaPlaneEvent> {
    return this.#log.write;
  }

  #accept(socket: Socket): void {
    const limit = setTimeout(() => socket.destroy(), HELLO_MS);
    let gateway: Gateway | undefined;
    const take = (message: ToHost): void => {
      if (message.type === 'hello') {
        clearTimeout(limit);
        if (gateway) socket.destroy();
        else
          this.#greet(message, link).then(
            (accepted) => {
              gateway = accepted;
            },
            () => socket.destroy(),
          );
      } else if (gateway && gateway === this.#gateway) {
        if (message.type === 'request') void this.#serve(message.id, message.request, link);
        else if (message.type === 'sendToPhones') this.#plane?.sendToPhonesFor(message.ms);
        else this.#devices.get(message.deviceId)?.told(message);
      }
    };
    const takeAudio = ({ deviceId, pcm }: AudioMessage): void => {
      if (gateway && gateway === this.#gateway) this.#devices.get(deviceId)?.play(pcm);
    };
    const link: MessageSocket<ToHost, FromHost> = new MessageSocket(socket, take, takeAudio);
    socket.on('close', () => {
      clearTimeout(limit);
      if (gateway && gateway === this.#gateway) this.#gatewayGone();
    });
  }

  async #greet(hello: Hello, link: MessageSocket<ToHost, FromHost>): Promise<Gateway | undefined> {
    const refusal = this.#refusalOf(hello) ?? (await this.#preparePlane(hello.options));
    const pipePort = refusal ? undefined : await this.#crossings?.listen(hello.pipeHost);
    // Another gateway may have come while the plane was being made.
    if (refusal || hello.epoch <= this.#epoch) {
      link.send({ type: 'refused', cause: refusal ?? 'epoch' });
      link.end();
      return undefined;
    }
    this.#epoch = hello.epoch;
    this.#handoverMs = hello.handoverMs;
    clearTimeout(this.#handover);
    // A gateway that is still connected is older: cut it off.
    this.#gateway?.link.send({ type: 'refused', cause: 'epoch' });
    this.#gateway?.link.end();
    const gateway = { epoch: hello.epoch, link };
    this.#gateway = gateway;
    link.send({
      type: 'welcome',
      pid: process.pid,
      pidNamespace: pidNamespace(),
      isRetired: hello.version !== this.#options.version || optionsKey(hello.options) !== this.#planeOptions,
      webrtcPort: this.#webrtcPort,
      devices: [...this.#devices.values()].flatMap((device) => device.carried() ?? []),
      pipes: this.#pipes?.hosts ?? [],
      pipePort,
    });
    for (const device of this.#devices.values()) {
      if (device.carried()) device.attach(this.#eventsTo(device.deviceId));
      // The gateway that played a file is gone, and the next one begins anew.
      else void this.#serve(0, { name: 'close', deviceId: device.deviceId }, link);
    }
    this.#log.sendTo((event) => link.send({ type: 'plane', event }));
    return gateway;
  }

  #refusalOf({
    protocol,
    secret,
    epoch,
  }: Hello): Extract<HelloAnswer, { type: 'refused' }>['cause'] | undefined {
    if (protocol !== PROTOCOL) return 'protocol';
    const [given, known] = [Buffer.from(secret), Buffer.from(this.#options.folder.secret)];
    if (given.length !== known.length || !timingSafeEqual(given, known)) return 'secret';
    return epoch <= this.#epoch || this.#ending ? 'epoch' : undefined;
  }

  /** Makes the plane for the first gateway. @returns `port` when all ports for browsers are taken */
  async #preparePlane(given: HostOptions): Promise<'port' | undefined> {
    if (this.#plane) return undefined;
    const { webrtcPorts, ...options } = given;
    for (const [part, webrtcPort] of webrtcPorts.entries()) {
      // Hosts that live have different ports for browsers, and so different shares of those for phones.
      const rtpShare = { part, of: webrtcPorts.length };
      const made = this.#options.makePlane({ ...options, webrtcPort, rtpShare }, this.#log.write);
      try {
        this.#webrtcPort = await made.webrtcPort();
      } catch (error) {
        await made.plane.stop();
        if (error instanceof MediaError && error.code === 'NO_PORT') continue;
        throw error;
      }
      const { id, folder } = this.#options;
      const parts = { streams: made.streams, log: logByEvents(this.#log.write) };
      this.#pipes = await HostPipes.start({ id, folder, ...parts });
      this.#crossings = new HostCrossings(parts);
      this.#plane = made.plane;
      this.#planeOptions = optionsKey(given);
      return undefined;
    }
    return 'port';
  }

  #gatewayGone(): void {
    this.#gateway = undefined;
    this.#log.sendTo(undefined);
    for (const device of this.#devices.values()) device.detach();
    this.#waitForGateway();
  }

  #waitForGateway(): void {
    this.#handover = setTimeout(() => {
      this.#log.write({
        type: 'log',
        level: 'warn',
        fields: { devices: this.#devices.size },
        message: 'No gateway came in time: the media host ends.',
      });
      void this.end();
    }, this.#handoverMs);
  }

  async #serve(id: number, request: AnyRequest, link: MessageSocket<ToHost, FromHost>): Promise<void> {
    try {
      const result = await this.#do(request);
      link.send({ type: 'result', id, ...(result !== undefined && { result }) });
    } catch (error) {
      const isMedia = error instanceof MediaError;
      if (!isMedia)
        this.#log.write({
          type: 'log',
          level: 'error',
          fields: { err: String(error), request: request.name },
          message: 'A request to a media host failed.',
        });
      link.send({
        type: 'failure',
        id,
        ...(isMedia && { code: error.code }),
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }

  async #do(request: AnyRequest): Promise<unknown> {
    if ('deviceId' in request && request.name !== 'close' && request.name !== 'stop')
      return this.#device(request.deviceId).serve(request);
    switch (request.name) {
      case 'open':
        return this.#open(request.spec);
      case 'close':
        return this.#close(request.deviceId);
      case 'pipe': {
        const key = Buffer.from(request.key, 'base64');
        if (request.connect) this.#pipesNow().connect(request.host, key);
        else this.#pipesNow().expect(request.host, key);
        return;
      }
      case 'pipeStreams': {
        this.#pipesNow().send(request.host, request.streamIds);
        return;
      }
      case 'unpipe': {
        this.#pipesNow().leave(request.host);
        return;
      }
      case 'cross': {
        this.#crossings?.set(request.crossings, request.isAll);
        return;
      }
      case 'stop':
        return this.end();
    }
  }

  async #open(spec: Extract<AnyRequest, { name: 'open' }>['spec']): Promise<unknown> {
    if (!this.#plane) throw new MediaError('INVALID_STATE', 'The media host has no plane.');
    const device = new HostedDevice(this.#plane, spec, this.#eventsTo(spec.deviceId));
    const known = this.#devices.get(spec.deviceId);
    // The plane refuses a second device of the same id, which must not replace the first here.
    if (!known) this.#devices.set(spec.deviceId, device);
    try {
      return await device.opened();
    } catch (error) {
      if (!known) this.#devices.delete(spec.deviceId);
      throw error;
    }
  }

  async #close(deviceId: string): Promise<void> {
    const device = this.#devices.get(deviceId);
    if (!device) return;
    try {
      await device.handle.close();
    } finally {
      if (this.#devices.get(deviceId) === device) this.#devices.delete(deviceId);
    }
  }

  /** @throws MediaError INVALID_STATE before the plane is made */
  #pipesNow(): HostPipes {
    if (this.#pipes) return this.#pipes;
    throw new MediaError('INVALID_STATE', 'The media host has no plane.');
  }

  /** @throws MediaError UNKNOWN_DEVICE */
  #device(deviceId: string): HostedDevice {
    const device = this.#devices.get(deviceId);
    if (device) return device;
    throw new MediaError('UNKNOWN_DEVICE', `No device ${deviceId} is open.`);
  }

  #eventsTo(deviceId: string): (event: DeviceEvent) => void {
    return (event) => {
      if (event.type === 'audio') this.#gateway?.link.sendAudio({ deviceId, ...event });
      else this.#gateway?.link.send({ type: 'event', deviceId, event });
    };
  }

  #sendBeat(): void {
    if (!this.#gateway || !this.#plane) return;
    const load = this.#load.read(this.#plane.load(), this.#devices.size > 0);
    this.#gateway.link.send({
      type: 'beat',
      load,
      counters: this.#plane.counters(),
      ...(this.#crossings && { crossings: this.#crossings.counters() }),
    });
  }
}
