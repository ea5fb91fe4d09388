import { timingSafeEqual } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { chmod, unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { settledWithin } from '../../shared/index.js';
import type { MediaListener, MediaPlane, MediaPlaneEvent } from '../door.js';
import { MediaError, type MediaPlaneOptions } from '../types.js';
import type { HostFolder } from './folder.js';
import { MessageSocket } from './frames.js';
import { HostedDevice } from './hosted-device.js';
import { pidNamespace } from './processes.js';
import {
  type AnyRequest,
  type DeviceEvent,
  type FromHost,
  type Hello,
  type HelloAnswer,
  type HostOptions,
  PROTOCOL,
  type ToHost,
} from './messages.js';

const BEAT_MS = 500;
/** How long a connection may take to greet. */
const HELLO_MS = 10_000;
/** How long closing everything may take. */
const CLOSE_MS = 2_000;
/** The log of a time without a gateway ends at so many bytes. */
const MAX_LOG = 1024 * 1024;

export interface HostServerOptions {
  readonly id: string;
  readonly folder: HostFolder;
  readonly version: string;
  /** How long to wait for the first gateway, in ms. */
  readonly handoverMs: number;
  /** @throws MediaError NO_PORT by rejection when the port for browsers is taken */
  readonly makePlane: (
    options: MediaPlaneOptions,
    listener: MediaListener<MediaPlaneEvent>,
  ) => { readonly plane: MediaPlane; webrtcPort(): Promise<number> };
  /** The host has nothing more to do. */
  readonly onEnd: () => void;
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
  readonly #devices = new Map<string, HostedDevice>();
  readonly #delays = monitorEventLoopDelay({ resolution: 10 });
  #busy = performance.eventLoopUtilization();
  #plane: MediaPlane | undefined;
  /** The options of the plane, as the first gateway gave them. */
  #planeOptions = '';
  #webrtcPort = 0;
  #gateway: Gateway | undefined;
  readonly #pipes = new Map<string, never>();
  /** The highest epoch that was accepted. */
  #epoch = 0;
  #handoverMs: number;
  #handover: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;
  #logged = 0;
  #mixBusyMs = 0;
  #ending = false;

  constructor(options: HostServerOptions) {
    this.#options = options;
    this.#handoverMs = options.handoverMs;
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
    this.#delays.enable();
    this.#waitForGateway();
    this.#beat = setInterval(() => this.#sendBeat(), BEAT_MS);
  }

  /** Closes all devices and ends. */
  async end(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    clearTimeout(this.#handover);
    clearInterval(this.#beat);
    this.#delays.disable();
    this.#server.close();
    const { id, folder } = this.#options;
    // At once, so that no gateway connects to a host that ends.
    await unlink(folder.socketOf(id)).catch(() => undefined);
    if (this.#plane) await settledWithin(this.#plane.stop(), CLOSE_MS);
    await folder.forget(id);
    this.#gateway?.link.end();
    this.#options.onEnd();
  }

  /** Writes to the gateway's log or, while there is none, to the host's own. */
  readonly log: MediaListener<MediaPlaneEvent> = (event) => {
    if (this.#gateway) {
      this.#gateway.link.send({ type: 'plane', event });
      return;
    }
    if (this.#logged > MAX_LOG) return;
    const line = `${JSON.stringify({ time: Date.now(), level: event.level, ...event.fields, msg: event.message })}\n`;
    this.#logged += line.length;
    try {
      appendFileSync(this.#options.folder.logOf(this.#options.id), line, { mode: 0o600 });
    } catch {
      // A full disk, for example. Nobody is there to be told, and the calls are worth more.
      this.#logged = Number.POSITIVE_INFINITY;
    }
  };

  #accept(socket: Socket): void {
    const limit = setTimeout(() => socket.destroy(), HELLO_MS);
    let gateway: Gateway | undefined;
    const link: MessageSocket<ToHost, FromHost> = new MessageSocket(socket, (message) => {
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
      } else if (gateway && gateway === this.#gateway) void this.#serve(message.id, message.request, link);
    });
    socket.on('close', () => {
      clearTimeout(limit);
      if (gateway && gateway === this.#gateway) this.#gatewayGone();
    });
  }

  async #greet(hello: Hello, link: MessageSocket<ToHost, FromHost>): Promise<Gateway | undefined> {
    const refusal = this.#refusalOf(hello) ?? (await this.#preparePlane(hello.options));
    // Another gateway may have come while the plane was being made.
    if (refusal || hello.epoch <= this.#epoch) {
      link.send({ type: 'refused', cause: refusal ?? 'epoch' });
      link.end();
      return undefined;
    }
    this.#epoch = hello.epoch;
    this.#handoverMs = hello.handoverMs;
    clearTimeout(this.#handover);
    // A gateway that is still there is older: it is cut off.
    this.#gateway?.link.send({ type: 'refused', cause: 'epoch' });
    this.#gateway?.link.end();
    const gateway = { epoch: hello.epoch, link };
    this.#gateway = gateway;
    link.send({
      type: 'welcome',
      pid: process.pid,
      pidNamespace: pidNamespace(),
      isRetired: hello.version !== this.#options.version || canonical(hello.options) !== this.#planeOptions,
      webrtcPort: this.#webrtcPort,
      devices: [...this.#devices.values()].map((device) => device.carried()),
      pipes: [...this.#pipes.keys()],
    });
    for (const device of this.#devices.values()) device.attach(this.#eventsTo(device.deviceId));
    this.#logged = 0;
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
    for (const webrtcPort of webrtcPorts) {
      const made = this.#options.makePlane({ ...options, webrtcPort }, this.log);
      try {
        this.#webrtcPort = await made.webrtcPort();
      } catch (error) {
        await made.plane.stop();
        if (error instanceof MediaError && error.code === 'NO_PORT') continue;
        throw error;
      }
      this.#plane = made.plane;
      this.#planeOptions = canonical(given);
      return undefined;
    }
    return 'port';
  }

  #gatewayGone(): void {
    this.#gateway = undefined;
    for (const device of this.#devices.values()) device.detach();
    this.#waitForGateway();
  }

  #waitForGateway(): void {
    this.#handover = setTimeout(() => {
      this.log({
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
        this.log({
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
    switch (request.name) {
      case 'open':
        return this.#open(request.spec);
      case 'setDelivery':
        return this.#device(request.deviceId).handle.setDelivery(request.delivery);
      case 'keep':
        return this.#device(request.deviceId).keep(request.note);
      case 'close':
        return this.#close(request.deviceId);
      case 'publish':
        return this.#device(request.deviceId).publish(request.options);
      case 'answerSubscribe':
        return this.#device(request.deviceId).browser.answerSubscribe(request.sdpAnswer);
      case 'resume':
        return this.#device(request.deviceId).browser.resume();
      case 'answer':
        return this.#device(request.deviceId).answer(request.sdpAnswer);
      case 'update':
        return this.#device(request.deviceId).update(request.sdpOffer);
      case 'confirm':
        return this.#device(request.deviceId).phone.confirm(request.source);
      case 'sendDtmf':
        return this.#device(request.deviceId).phone.sendDtmf(request.dtmf);
      case 'pipe':
      case 'pipeStreams':
        return undefined;
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

  /** @throws MediaError UNKNOWN_DEVICE */
  #device(deviceId: string): HostedDevice {
    const device = this.#devices.get(deviceId);
    if (device) return device;
    throw new MediaError('UNKNOWN_DEVICE', `No device ${deviceId} is open.`);
  }

  #eventsTo(deviceId: string): (event: DeviceEvent) => void {
    return (event) => this.#gateway?.link.send({ type: 'event', deviceId, event });
  }

  #sendBeat(): void {
    const { utilization: busy, active, idle } = performance.eventLoopUtilization(this.#busy);
    this.#busy = performance.eventLoopUtilization();
    const delayMs = Math.max(0, this.#delays.mean / 1e6 - 10);
    this.#delays.reset();
    if (!this.#gateway || !this.#plane) return;
    const load = this.#plane.load();
    const mixShare = (load.mixBusyMs - this.#mixBusyMs) / Math.max(1, active + idle);
    this.#mixBusyMs = load.mixBusyMs;
    this.#gateway.link.send({
      type: 'beat',
      load: { ...load, busy, delayMs, mixShare },
      counters: this.#plane.counters(),
    });
  }
}

/** Options as text that is equal for equal options. */
function canonical(options: HostOptions): string {
  return JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));
}
