import { type Log } from '../../shared/index.js';
import type {
  AnyHandle,
  AnyMediaListener,
  BrowserHandle,
  BrowserMediaEvent,
  CarriedDevice,
  FileHandle,
  FileMediaEvent,
  MediaCounters,
  MediaHostLoad,
  MediaHosts,
  MediaListener,
  MediaLoad,
  MediaPlane,
  MediaPlaneEvent,
  PhoneHandle,
  PhoneMediaEvent,
  ProgramHandle,
  ProgramMediaEvent,
} from '../door.js';
import { NO_COUNTERS, sumOfCounters } from '../counters.js';
import {
  type AnySpec,
  type BrowserSpec,
  type FileSpec,
  MediaError,
  type PhoneSpec,
  type ProgramSpec,
} from '../types.js';
import type { HostLink } from './link.js';
import type { DeviceEvent } from './messages.js';
import { PipePlan } from './pipe-plan.js';
import { RemoteCrossings } from './remote-crossings.js';
import { RemoteDevice } from './remote-device.js';
import { browserHandle, handleFor, phoneHandle, programHandle } from './remote-handles.js';
import { type HostsOptions, Supervisor } from './supervisor.js';

/** A device sends only events of its own kind, which its listener can take. */
const asDeviceListener = (
  listener:
    | AnyMediaListener
    | MediaListener<BrowserMediaEvent>
    | MediaListener<PhoneMediaEvent>
    | MediaListener<ProgramMediaEvent>,
): MediaListener<DeviceEvent> => listener as MediaListener<DeviceEvent>;

/** How long devices of a dead host wait for its replacement when there is no other host. */
const REPLACEMENT_MS = 10_000;

/** The media plane of a gateway whose devices are on media hosts. */
export class RemoteMediaPlane implements MediaPlane {
  readonly #supervisor: Supervisor;
  readonly #pipes: PipePlan;
  readonly crossings: RemoteCrossings | undefined;
  readonly #devices = new Map<string, RemoteDevice>();
  readonly #log: Log;
  readonly #listener: MediaListener<MediaPlaneEvent>;
  #hostWaiters: ((link: HostLink) => void)[] = [];
  /** Of hosts that are gone. */
  #past: MediaCounters = NO_COUNTERS;
  #pastSkipped = 0;
  /** The host that became ready last; it may be dead. There is one once the plane has started. */
  #newest: HostLink | undefined;
  #hostsLost = 0;
  /** Until when phones may be sent anything: for hosts that come later. */
  #sendUntil = Infinity;
  #mixBusyMs = 0;
  #loadedAt = performance.now();

  constructor(options: HostsOptions, log: Log, listener: MediaListener<MediaPlaneEvent>) {
    this.#log = log;
    this.#pipes = new PipePlan(log);
    const { pipeHost } = options;
    this.crossings = pipeHost === undefined ? undefined : new RemoteCrossings(pipeHost, log);
    this.#listener = listener;
    this.#supervisor = new Supervisor(options, {
      onHost: (link) => this.#hostReady(link),
      onLost: (link) => this.#hostLost(link),
      log,
    });
  }

  /** Resolves when the hosts are there. @throws Error by rejection when there is none */
  start(): Promise<void> {
    return this.#supervisor.start();
  }

  open(spec: BrowserSpec, listener: MediaListener<BrowserMediaEvent>): BrowserHandle;
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle;
  open(spec: ProgramSpec, listener: MediaListener<ProgramMediaEvent>): ProgramHandle;
  open(spec: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle;
  open(spec: AnySpec, listener: AnyMediaListener): AnyHandle;
  open(spec: AnySpec, listener: AnyMediaListener): AnyHandle {
    // The host refuses a second device of an id, which must not replace the first here.
    const known = this.#devices.get(spec.deviceId);
    // With no other choice take a host of another version, or even a dead one, which refuses the device.
    const link =
      known?.link ??
      this.#hostOfListener(spec) ??
      this.#hostFor(spec.sessionId) ??
      this.#supervisor.links[0] ??
      this.#newest!;
    const device = new RemoteDevice(spec, link, this.#owner);
    if (!known) {
      this.#devices.set(spec.deviceId, device);
      this.crossings?.update(device);
    }
    return handleFor(device, device.open(asDeviceListener(listener)));
  }

  carried(): readonly CarriedDevice[] {
    return [...this.#devices.values()]
      .filter(({ isAdopted }) => !isAdopted)
      .sort((a, b) => a.openedAt - b.openedAt)
      .flatMap((device) => device.asCarried() ?? []);
  }

  adoptBrowser(deviceId: string, listener: MediaListener<BrowserMediaEvent>): BrowserHandle | undefined {
    const device = this.#carriedDevice(deviceId, 'browser');
    return device && browserHandle(device, device.adopt(asDeviceListener(listener)));
  }

  adoptPhone(deviceId: string, listener: MediaListener<PhoneMediaEvent>): PhoneHandle | undefined {
    const device = this.#carriedDevice(deviceId, 'phone');
    return device && phoneHandle(device, device.adopt(asDeviceListener(listener)));
  }

  adoptProgram(deviceId: string, listener: MediaListener<ProgramMediaEvent>): ProgramHandle | undefined {
    const device = this.#carriedDevice(deviceId, 'program');
    return device && programHandle(device, device.adopt(asDeviceListener(listener)));
  }

  async releaseCarried(): Promise<void> {
    const all = [...this.#devices.values()];
    for (const device of all) if (device.isAdopted) device.deliverNow();
    this.#pipes.release();
    await Promise.all(all.filter(({ isAdopted }) => !isAdopted).map((device) => device.close()));
  }

  sendToPhonesFor(ms: number): void {
    this.#sendUntil = performance.now() + ms;
    for (const link of this.#supervisor.links) link.sendToPhonesFor(ms);
  }

  load(): MediaLoad {
    const loads = this.#supervisor.links.flatMap(({ load }) => load ?? []);
    const now = performance.now();
    // The share of the busiest host counts, as if all mixes were made on it.
    const share = Math.max(0, ...loads.map(({ mixShare }) => mixShare));
    this.#mixBusyMs += share * (now - this.#loadedAt);
    this.#loadedAt = now;
    return {
      mixLatenessMs: Math.max(0, ...loads.map(({ mixLatenessMs }) => mixLatenessMs)),
      framesSkipped: loads.reduce((sum, { framesSkipped }) => sum + framesSkipped, this.#pastSkipped),
      mixBusyMs: this.#mixBusyMs,
      busy: Math.max(0, ...loads.map(({ busy }) => busy)),
      delayMs: Math.max(0, ...loads.map(({ delayMs }) => delayMs)),
    };
  }

  counters(): MediaCounters {
    return this.#supervisor.links.reduce((total, { counters }) => sumOfCounters(total, counters), this.#past);
  }

  hosts(): MediaHosts {
    const { links } = this.#supervisor;
    return { present: links.length, ids: links.map(({ id }) => id), lost: this.#hostsLost };
  }

  hostLoads(): MediaHostLoad[] {
    const counts = new Map<HostLink, number>();
    for (const { link } of this.#devices.values()) counts.set(link, (counts.get(link) ?? 0) + 1);
    return this.#supervisor.links.map((link) => ({
      id: link.id,
      devices: counts.get(link) ?? 0,
      isRetired: link.isRetired,
      busy: link.load?.busy ?? 0,
      delayMs: link.load?.delayMs ?? 0,
      mixLatenessMs: link.load?.mixLatenessMs ?? 0,
      framesSkipped: link.load?.framesSkipped ?? 0,
    }));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#devices.values()].map((device) => device.close()));
    await this.#supervisor.stop();
  }

  readonly #owner = {
    changed: (device: RemoteDevice): void => {
      this.#pipes.update(device);
      if (this.#devices.get(device.deviceId) === device) this.crossings?.update(device);
    },
    notMoved: ({ spec: { kind, deviceId, labels } }: RemoteDevice, err: unknown): void =>
      this.#log.warn({ ...labels, connectionId: deviceId, kind, err }, 'A device could not go on elsewhere.'),
    closed: (device: RemoteDevice): void => {
      if (this.#devices.get(device.deviceId) === device) {
        this.#devices.delete(device.deviceId);
        this.crossings?.remove(device);
      }
      this.#pipes.remove(device);
      this.#endIfServed(device.link);
    },
  };

  /** A host that takes no new devices ends with its last one. */
  #endIfServed(link: HostLink): void {
    if (!link.isRetired || link.isLost) return;
    for (const { link: other } of this.#devices.values()) if (other === link) return;
    this.#pipes.drop(link);
    this.crossings?.drop(link);
    this.#supervisor.end(link);
  }

  #carriedDevice(deviceId: string, kind: CarriedDevice['kind']): RemoteDevice | undefined {
    const device = this.#devices.get(deviceId);
    return device && !device.isAdopted && device.spec.kind === kind ? device : undefined;
  }

  /** Where the device is that hears a file. */
  #hostOfListener(spec: AnySpec): HostLink | undefined {
    const link = spec.kind === 'file' ? this.#devices.get(spec.listenerId)?.link : undefined;
    return link?.isLost === true ? undefined : link;
  }

  /** The host with the most devices of the session, else the one with the fewest devices. */
  #hostFor(sessionId: string | undefined): HostLink | undefined {
    const open = this.#supervisor.links.filter(({ isLost, isRetired }) => !isLost && !isRetired);
    const counts = new Map(open.map((link) => [link, { devices: 0, ofSession: 0 }]));
    for (const { link, spec } of this.#devices.values()) {
      const count = counts.get(link);
      if (!count) continue;
      count.devices += 1;
      if (sessionId !== undefined && spec.sessionId === sessionId) count.ofSession += 1;
    }
    return open.sort((a, b) => {
      const [one, other] = [counts.get(a)!, counts.get(b)!];
      return other.ofSession - one.ofSession || one.devices - other.devices;
    })[0];
  }

  #hostReady(link: HostLink): void {
    this.#newest = link;
    this.#pipes.add(link, link.pipes);
    this.crossings?.add(link);
    for (const state of link.carried) {
      const device = RemoteDevice.carried(state, link, this.#owner);
      this.#devices.set(state.deviceId, device);
      this.crossings?.update(device);
    }
    link.handle({
      onAudio: ({ deviceId, ...audio }) => this.#take(link, deviceId, { type: 'audio', ...audio }),
      onEvent: (deviceId, event) => this.#take(link, deviceId, event),
      onPlaneEvent: (event) => this.#listener(event),
      onLost: () => this.#supervisor.lost(link),
    });
    if (this.#sendUntil < Infinity) link.sendToPhonesFor(Math.max(0, this.#sendUntil - performance.now()));
    if (link.isRetired) this.#endIfServed(link);
    else for (const wake of this.#hostWaiters.splice(0)) wake(link);
  }

  #take(link: HostLink, deviceId: string, event: DeviceEvent): void {
    const device = this.#devices.get(deviceId);
    if (device?.link === link) device.take(event);
  }

  #hostLost(link: HostLink): void {
    this.#past = sumOfCounters(this.#past, link.counters);
    this.#pastSkipped += link.load?.framesSkipped ?? 0;
    this.#hostsLost += 1;
    this.#pipes.drop(link);
    this.crossings?.drop(link);
    const devices = [...this.#devices.values()].filter((device) => device.link === link);
    const count = (kind: string): number => devices.filter(({ spec }) => spec.kind === kind).length;
    this.#log.error(
      { host: link.id, hostPid: link.pid, phones: count('phone'), browsers: count('browser') },
      'A media host died: its devices go on elsewhere.',
    );
    for (const device of devices) device.move(() => this.#hostSoon(device.spec.sessionId));
  }

  /** A host for a device of one that died. */
  async #hostSoon(sessionId: string | undefined): Promise<HostLink> {
    const host = this.#hostFor(sessionId);
    if (host) return host;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(
        () => reject(new MediaError('INVALID_STATE', 'There is no media host.')),
        REPLACEMENT_MS,
      );
      this.#hostWaiters.push((link) => {
        clearTimeout(limit);
        resolve(link);
      });
    });
  }
}
