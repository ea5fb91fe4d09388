import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Order } from './gateway.js';

/** A process of `gateway.ts`. */
export class BenchGateway {
  readonly #child: ChildProcess;
  /** The processes of its hosts. */
  readonly pids: readonly number[];

  private constructor(child: ChildProcess, pids: readonly number[]) {
    this.#child = child;
    this.pids = pids;
  }

  static async start(hosts: number): Promise<BenchGateway> {
    const child = fork(new URL('gateway.ts', import.meta.url));
    return new BenchGateway(child, (await ask(child, { type: 'start', hosts })) as number[]);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Opens a phone for each port. @returns their ports */
  async open(peerPorts: readonly number[], inSession: number): Promise<number[]> {
    return (await ask(this.#child, { type: 'open', peerPorts, inSession })) as number[];
  }

  /** Frames that came too late. */
  async late(): Promise<number> {
    return (await ask(this.#child, { type: 'late' })) as number;
  }

  async stop(): Promise<void> {
    this.#child.send({ type: 'stop' } satisfies Order);
    await once(this.#child, 'exit');
  }
}

async function ask(child: ChildProcess, order: Order): Promise<unknown> {
  child.send(order);
  const [answer] = (await once(child, 'message')) as [unknown];
  return answer;
}
