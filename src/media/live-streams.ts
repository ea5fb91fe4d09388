import type { LiveStream } from './endpoint.js';

/** The streams of a plane that belong to none of its devices: another host's, which come by a pipe. */
export interface RemoteStreams {
  /** Replaces streams of other hosts, `before`, by others. */
  replace(before: readonly LiveStream[], now: readonly LiveStream[]): void;
  /** A live stream of one of the plane's own devices. */
  local(streamId: string): LiveStream | undefined;
  /** Reports streams that began, changed their tracks or ended. @returns a function that stops it */
  watch(listener: (streamIds: ReadonlySet<string>) => void): () => void;
}

/** All streams that are live in a plane. */
export class LiveStreams implements RemoteStreams {
  readonly #onChange: (streamIds: ReadonlySet<string>) => void;
  /**
   * The sources of each stream, the newest last: it comes from there. Usually there is one. A phone whose host died, or was cut
   * off, may be back at another host before the old stream ends, and that host may offer the stream once more before it learns
   * that it does not have the phone any more.
   */
  readonly #sources = new Map<string, readonly LiveStream[]>();
  readonly #remote = new Set<LiveStream>();
  readonly #watchers = new Set<(streamIds: ReadonlySet<string>) => void>();

  /** @param onChange called before the watchers */
  constructor(onChange: (streamIds: ReadonlySet<string>) => void) {
    this.#onChange = onChange;
  }

  get(streamId: string): LiveStream | undefined {
    return this.#sources.get(streamId)?.at(-1);
  }

  local(streamId: string): LiveStream | undefined {
    const stream = this.get(streamId);
    return stream && !this.#remote.has(stream) ? stream : undefined;
  }

  replace(before: readonly LiveStream[], now: readonly LiveStream[]): void {
    for (const stream of before) this.#remote.delete(stream);
    for (const stream of now) this.#remote.add(stream);
    this.replaceLocal(before, now);
  }

  /** The same for the streams of a device of the plane. */
  replaceLocal(before: readonly LiveStream[], now: readonly LiveStream[]): void {
    const changed = new Set([...before, ...now].map(({ streamId }) => streamId));
    for (const streamId of changed) {
      const next = now.find((stream) => stream.streamId === streamId);
      const sources = this.#sources.get(streamId) ?? [];
      const at = sources.findIndex((source) => before.includes(source));
      const left = [...sources];
      if (at < 0) left.push(...(next ? [next] : []));
      else left.splice(at, 1, ...(next ? [next] : []));
      if (left.length > 0) this.#sources.set(streamId, left);
      else this.#sources.delete(streamId);
    }
    if (changed.size === 0) return;
    this.#onChange(changed);
    for (const watcher of this.#watchers) watcher(changed);
  }

  watch(listener: (streamIds: ReadonlySet<string>) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }
}
