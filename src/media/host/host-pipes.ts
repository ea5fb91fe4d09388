import { unlink } from 'node:fs/promises';
import type { Log } from '../../shared/index.js';
import {
  connectPipe,
  listenForPipes,
  type Pipe,
  type PipeListener,
  type SendingPipe,
} from '../pipe/index.js';
import type { RemoteStreams } from '../live-streams.js';
import type { HostFolder } from './folder.js';

interface HostPipesOptions {
  readonly id: string;
  readonly folder: HostFolder;
  /** Of the host's plane. */
  readonly streams: RemoteStreams;
  readonly log: Log;
}

/** The pipes of one host, by the id of the host at the other end: one to it, and one from it. */
export class HostPipes {
  readonly #options: HostPipesOptions;
  readonly #listener: PipeListener;
  readonly #sending = new Map<string, SendingPipe>();
  readonly #receiving = new Map<string, Pipe>();
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

  /** The hosts that it has pipes from. */
  get hosts(): string[] {
    return [...this.#receiving.keys()];
  }

  /** Makes the sending end of a pipe, in place of one to the same host. */
  expect(host: string, key: Buffer): void {
    this.#sending.get(host)?.close();
    const pipe = this.#listener.expect(key);
    this.#sending.set(host, pipe);
    pipe.send(this.#wanted.get(host) ?? []);
  }

  /** Makes the receiving end of a pipe, in place of one from the same host. */
  connect(host: string, key: Buffer): void {
    const { folder, streams, log } = this.#options;
    this.#receiving.get(host)?.close();
    this.#receiving.set(host, connectPipe({ path: folder.pipeSocketOf(host) }, key, { streams, log }));
  }

  /** Sets the streams that another host gets. */
  send(host: string, streamIds: readonly string[]): void {
    this.#wanted.set(host, streamIds);
    this.#sending.get(host)?.send(streamIds);
  }

  /** Another host is gone. */
  leave(host: string): void {
    for (const pipes of [this.#sending, this.#receiving]) {
      pipes.get(host)?.close();
      pipes.delete(host);
    }
    this.#wanted.delete(host);
  }

  async close(): Promise<void> {
    for (const host of [...this.#sending.keys(), ...this.#receiving.keys()]) this.leave(host);
    await this.#listener.close();
    const { id, folder } = this.#options;
    await unlink(folder.pipeSocketOf(id)).catch(() => undefined);
  }
}
