import { unlink } from 'node:fs/promises';
import type { Log } from '../../shared/index.js';
import { connectPipe, listenForPipes, type Pipe, type PipeListener } from '../pipe/index.js';
import type { RemoteStreams } from '../live-streams.js';
import type { HostFolder } from './folder.js';

interface HostPipesOptions {
  readonly id: string;
  readonly folder: HostFolder;
  /** Of the host's plane. */
  readonly streams: RemoteStreams;
  readonly log: Log;
}

/** The pipes of one host, by the id of the host at the other end. */
export class HostPipes {
  readonly #options: HostPipesOptions;
  readonly #listener: PipeListener;
  readonly #pipes = new Map<string, Pipe>();
  /** What the other hosts are to get, also before there is a pipe. */
  readonly #wanted = new Map<string, readonly string[]>();

  private constructor(options: HostPipesOptions, listener: PipeListener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Listens for the pipes of other hosts. @throws Error by rejection when the socket cannot be made */
  static async start(options: HostPipesOptions): Promise<HostPipes> {
    const { id, folder, streams, log } = options;
    const listener = await listenForPipes({ path: folder.pipeSocketOf(id) }, { streams, log });
    return new HostPipes(options, listener);
  }

  /** The hosts at the other ends. */
  get hosts(): string[] {
    return [...this.#pipes.keys()];
  }

  /** Makes this host's end of a pipe. A pipe to the same host that is there already is replaced. */
  join(host: string, key: Buffer, connects: boolean): void {
    const { folder, streams, log } = this.#options;
    this.#pipes.get(host)?.close();
    const pipe = connects
      ? connectPipe({ path: folder.pipeSocketOf(host) }, key, { streams, log })
      : this.#listener.expect(key);
    this.#pipes.set(host, pipe);
    pipe.send(this.#wanted.get(host) ?? []);
  }

  /** Sets the streams that another host gets. */
  send(host: string, streamIds: readonly string[]): void {
    this.#wanted.set(host, streamIds);
    this.#pipes.get(host)?.send(streamIds);
  }

  /** Another host is gone. */
  leave(host: string): void {
    this.#pipes.get(host)?.close();
    this.#pipes.delete(host);
    this.#wanted.delete(host);
  }

  async close(): Promise<void> {
    for (const host of this.hosts) this.leave(host);
    await this.#listener.close();
    const { id, folder } = this.#options;
    await unlink(folder.pipeSocketOf(id)).catch(() => undefined);
  }
}
