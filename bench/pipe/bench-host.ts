import { type ChildProcess, fork } from 'node:child_process';
import type { PipeCounters } from '../../src/media/pipe/index.js';

/** What a host of the bench is asked to do. */
export type HostRequest =
  /** Makes an end of a pipe by a Unix socket or, without a path, by TCP. */
  | { readonly type: 'listen'; readonly path?: string; readonly key: string }
  | { readonly type: 'connect'; readonly path?: string; readonly port?: number; readonly key: string }
  /** Publishes so many streams, whose packets come while it runs. @param prefix of their ids */
  | { readonly type: 'publish'; readonly streams: number; readonly prefix: string }
  /** Whether its browser receives them. */
  | { readonly type: 'receive'; readonly on: boolean }
  | { readonly type: 'answer'; readonly sdp: string }
  /** By which pipe they go to the other host, if by any. */
  | { readonly type: 'pipe'; readonly by: 'socket' | 'tcp' | undefined }
  /** Measures from now on how long packets take that come from the other host. */
  | { readonly type: 'time' }
  | { readonly type: 'run'; readonly seconds: number }
  | { readonly type: 'processorTime' }
  | { readonly type: 'delays' }
  | { readonly type: 'counters' };

export interface HostReply {
  readonly id: number;
  readonly processorTime?: number;
  readonly counters?: PipeCounters;
  /** Where it listens. */
  readonly port?: number;
  /** Of packets of the other host, in ms, since `time` was asked for. */
  readonly delays?: readonly number[];
}

/** A process of bench/pipe/host.ts. */
export class BenchHost {
  readonly #child: ChildProcess = fork(new URL('host.ts', import.meta.url));
  readonly #waiting = new Map<number, (reply: HostReply) => void>();
  #lastId = 0;
  /** Gets the subscribe offers for its browser. */
  onOffer: (sdp: string) => void = () => undefined;

  constructor() {
    this.#child.on('message', (message: HostReply | { readonly offer: string }) => {
      if ('offer' in message) this.onOffer(message.offer);
      else this.#waiting.get(message.id)?.(message);
    });
  }

  ask(request: HostRequest): Promise<HostReply> {
    this.#lastId += 1;
    const id = this.#lastId;
    const reply = new Promise<HostReply>((resolve) => this.#waiting.set(id, resolve));
    this.#child.send({ ...request, id });
    return reply;
  }

  /** Processor time used so far, all threads, in µs. */
  async processorTime(): Promise<number> {
    return (await this.ask({ type: 'processorTime' })).processorTime!;
  }

  async counters(): Promise<PipeCounters> {
    return (await this.ask({ type: 'counters' })).counters!;
  }

  stop(): void {
    this.#child.kill();
  }
}
