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
  readonly #streams = new Map<string, LiveStream>();
  readonly #remote = new Set<LiveStream>();
  readonly #watchers = new Set<(streamIds: ReadonlySet<string>) => void>();

  /** @param onChange called before the watchers */
  constructor(onChange: (streamIds: ReadonlySet<string>) => void) {
    this.#onChange = onChange;
  }

  get(streamId: string): LiveStream | undefined {
    return this.#streams.get(streamId);
  }

  local(streamId: string): LiveStream | undefined {
    const stream = this.#streams.get(streamId);
    return stream && !this.#remote.has(stream) ? stream : undefined;
  }

  replace(before: readonly LiveStream[], now: readonly LiveStream[]): void {
    for (const stream of before) this.#remote.delete(stream);
    for (const stream of now) this.#remote.add(stream);
    this.replaceLocal(before, now);
  }

  /** The same for the streams of a device of the plane. */
  replaceLocal(before: readonly LiveStream[], now: readonly LiveStream[]): void {
    const changed = new Set<string>();
    for (const stream of before) {
      // A phone whose host died may be back on another host before the old stream's end is noticed.
      if (this.#streams.get(stream.streamId) === stream) this.#streams.delete(stream.streamId);
      changed.add(stream.streamId);
    }
    for (const stream of now) {
      this.#streams.set(stream.streamId, stream);
      changed.add(stream.streamId);
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
