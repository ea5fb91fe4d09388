import { randomBytes } from 'node:crypto';
import { type Log, Routes } from '../../shared/index.js';
import type { HostLink } from './link.js';
import type { RemoteDevice } from './remote-device.js';

const PIPE_KEY_BYTES = 32;

/**
 * Decides which streams go from which host to which, so that every device receives the streams of its delivery. It
 * sends hosts only changes, and makes a pipe from one to another when the first stream has to go there.
 */
export class PipePlan {
  readonly #log: Log;
  /** What each host sends to each other. */
  readonly #routes = new Routes<RemoteDevice, HostLink>(
    (from, to) => from !== to,
    (from, to) => this.#tell(from, to),
  );
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
    this.#routes.drop(host);
    this.#changed.delete(host);
    for (const targets of this.#changed.values()) targets.delete(host);
  }

  /** From now on hosts are told of changes: until then the deliveries of carried devices are not complete. */
  release(): void {
    this.#isHeld = false;
    this.#schedule();
  }

  /** What a device publishes or receives, or its host, has changed. */
  update(device: RemoteDevice): void {
    const { delivery, streams } = device;
    this.#routes.update(device, device.link, delivery.map(idOf), streams.map(idOf));
  }

  remove(device: RemoteDevice): void {
    this.#routes.remove(device);
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
    const streamIds = this.#routes.between(from, to);
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

const idOf = ({ streamId }: { readonly streamId: string }): string => streamId;
