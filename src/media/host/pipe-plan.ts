import { randomBytes } from 'node:crypto';
import type { Log } from '../../shared/index.js';
import type { HostLink } from './link.js';
import type { RemoteDevice } from './remote-device.js';

/** Streams of a device, and the host that it was on when they were counted. */
interface Counted {
  readonly host: HostLink;
  readonly streamIds: readonly string[];
}

const PIPE_KEY_BYTES = 32;

/**
 * Decides which streams go from which host to which, so that every device receives the streams of its delivery. It
 * sends hosts only changes, and makes a pipe from one to another when the first stream has to go there.
 */
export class PipePlan {
  readonly #log: Log;
  readonly #received = new Map<RemoteDevice, Counted>();
  readonly #published = new Map<RemoteDevice, Counted>();
  /** How many devices of each host receive a stream. */
  readonly #receivers = new Map<string, Map<HostLink, number>>();
  /** The host that a stream is published on. */
  readonly #sources = new Map<string, HostLink>();
  /** What each host sends to each other. */
  readonly #routes = new Map<HostLink, Map<HostLink, Set<string>>>();
  /** Pairs whose set of streams is to be told. */
  readonly #changed = new Map<HostLink, Set<HostLink>>();
  /** The ids of the hosts that each has a pipe from. */
  readonly #joined = new Map<HostLink, Set<string>>();
  #isHeld = true;
  #isScheduled = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** A host is there. @param joined the hosts that it has pipes from already */
  add(host: HostLink, joined: readonly string[]): void {
    this.#joined.set(host, new Set(joined));
  }

  /** A host died. */
  drop(host: HostLink): void {
    const senders = this.#joined.get(host);
    this.#joined.delete(host);
    for (const [other, joined] of this.#joined) {
      const hasPipe = joined.delete(host.id) || senders?.has(other.id) === true;
      // A failure means that the other host is gone too.
      if (hasPipe) other.request('unpipe', { host: host.id }).catch(() => undefined);
    }
    this.#routes.delete(host);
    this.#changed.delete(host);
    for (const targets of this.#routes.values()) targets.delete(host);
    for (const targets of this.#changed.values()) targets.delete(host);
    for (const [streamId, source] of this.#sources) if (source === host) this.#sources.delete(streamId);
    for (const counts of this.#receivers.values()) counts.delete(host);
    for (const counted of [this.#received, this.#published])
      for (const [device, { host: on }] of counted) if (on === host) counted.delete(device);
  }

  /** From now on hosts are told of changes: until then the deliveries of carried devices are not complete. */
  release(): void {
    this.#isHeld = false;
    this.#schedule();
  }

  /** What a device publishes or receives, or its host, has changed. */
  update(device: RemoteDevice): void {
    const touched = new Set<string>();
    const host = device.link;
    this.#count(device, { host, streamIds: device.delivery.map(({ streamId }) => streamId) }, touched);
    this.#place(device, { host, streamIds: device.streams.map(({ streamId }) => streamId) }, touched);
    for (const streamId of touched) this.#route(streamId);
  }

  remove(device: RemoteDevice): void {
    const touched = new Set<string>();
    this.#count(device, undefined, touched);
    this.#place(device, undefined, touched);
    for (const streamId of touched) this.#route(streamId);
  }

  #count(device: RemoteDevice, now: Counted | undefined, touched: Set<string>): void {
    const before = this.#received.get(device);
    for (const streamId of before?.streamIds ?? []) {
      touched.add(streamId);
      const counts = this.#receivers.get(streamId);
      const left = (counts?.get(before!.host) ?? 0) - 1;
      if (left > 0) counts!.set(before!.host, left);
      else counts?.delete(before!.host);
      if (counts?.size === 0) this.#receivers.delete(streamId);
    }
    if (!now || now.streamIds.length === 0) {
      this.#received.delete(device);
      return;
    }
    this.#received.set(device, now);
    for (const streamId of now.streamIds) {
      touched.add(streamId);
      const counts = this.#receivers.get(streamId) ?? new Map<HostLink, number>();
      counts.set(now.host, (counts.get(now.host) ?? 0) + 1);
      this.#receivers.set(streamId, counts);
    }
  }

  #place(device: RemoteDevice, now: Counted | undefined, touched: Set<string>): void {
    for (const streamId of this.#published.get(device)?.streamIds ?? []) {
      touched.add(streamId);
      this.#sources.delete(streamId);
    }
    if (now) this.#published.set(device, now);
    else this.#published.delete(device);
    for (const streamId of now?.streamIds ?? []) {
      touched.add(streamId);
      this.#sources.set(streamId, now!.host);
    }
  }

  /** Brings the routes of a stream up to date. */
  #route(streamId: string): void {
    const source = this.#sources.get(streamId);
    const receivers = this.#receivers.get(streamId);
    for (const [from, targets] of this.#routes) {
      for (const [to, streamIds] of targets) {
        if (from === source && receivers?.has(to)) continue;
        if (streamIds.delete(streamId)) this.#tell(from, to);
      }
    }
    if (!source) return;
    for (const to of receivers?.keys() ?? []) {
      if (to === source) continue;
      const targets = this.#routes.get(source) ?? new Map<HostLink, Set<string>>();
      this.#routes.set(source, targets);
      const streamIds = targets.get(to) ?? new Set<string>();
      targets.set(to, streamIds);
      if (streamIds.has(streamId)) continue;
      streamIds.add(streamId);
      this.#tell(source, to);
    }
  }

  #tell(from: HostLink, to: HostLink): void {
    const targets = this.#changed.get(from) ?? new Set<HostLink>();
    targets.add(to);
    this.#changed.set(from, targets);
    this.#schedule();
  }

  /** Many changes of one turn of the event loop are told once. */
  #schedule(): void {
    if (this.#isHeld || this.#isScheduled || this.#changed.size === 0) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      const changed = [...this.#changed];
      this.#changed.clear();
      for (const [from, targets] of changed) for (const to of targets) void this.#send(from, to);
    });
  }

  async #send(from: HostLink, to: HostLink): Promise<void> {
    const streamIds = [...(this.#routes.get(from)?.get(to) ?? [])];
    try {
      const joining = this.#join(from, to);
      await Promise.all([joining, from.request('pipeStreams', { host: to.id, streamIds })]);
    } catch (error) {
      // The supervisor replaces a lost host.
      if (from.isLost || to.isLost) return;
      this.#log.error({ err: error, from: from.id, to: to.id }, 'Two media hosts could not be joined.');
    }
  }

  /** Makes a pipe from a host to another, once. The first expects it before the second connects. */
  async #join(from: HostLink, to: HostLink): Promise<void> {
    if (this.#joined.get(to)?.has(from.id)) return;
    this.#joined.get(to)?.add(from.id);
    const key = randomBytes(PIPE_KEY_BYTES).toString('base64');
    await from.request('pipe', { host: to.id, key, connect: false });
    await to.request('pipe', { host: from.id, key, connect: true });
  }
}
