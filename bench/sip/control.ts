import { fork, type ChildProcess } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { LAST, onCore } from './cores.js';

const EVERY_MS = 10;
/** A tick of the kernel's statistics. */
const TICK_MS = 10;

/** Delays that the machine itself caused, in ms. */
export interface MachineNoise {
  /** Round trips to a bare echo on the answerer's core. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Time that a hypervisor took from that core. */
  readonly stolen: number;
}

/**
 * Measures how much of the waiting is due to the machine: a process that echoes datagrams shares the answerer's core, and
 * gets a hundred of them each second.
 */
export class Control {
  readonly #echo: ChildProcess;
  readonly #socket: Socket;
  readonly #times: number[] = [];
  readonly #asking: NodeJS.Timeout;
  readonly #stolenBefore = stolenFrom(0);

  private constructor(echo: ChildProcess, socket: Socket, port: number) {
    this.#echo = echo;
    this.#socket = socket;
    socket.on('message', (bytes) => this.#times.push(performance.now() - bytes.readDoubleLE()));
    this.#asking = setInterval(() => {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(performance.now());
      socket.send(bytes, port, '127.0.0.1');
    }, EVERY_MS);
  }

  static async start(): Promise<Control> {
    const [execPath, execArgv] = onCore(0, process.execPath, process.execArgv);
    const echo = fork(new URL('echo.ts', import.meta.url), { execPath, execArgv });
    const [{ port }] = (await once(echo, 'message')) as [{ port: number }];
    return new Control(echo, createSocket('udp4'), port);
  }

  stop(): MachineNoise {
    clearInterval(this.#asking);
    this.#socket.close();
    this.#echo.kill('SIGKILL');
    const times = this.#times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? NaN;
    return { p50: at(0.5), p99: at(0.99), max: at(1), stolen: stolenFrom(0) - this.#stolenBefore };
  }
}

/** Time stolen from a core since the machine started, in ms; 0 if it is not known. */
function stolenFrom(core: number): number {
  try {
    const line = new RegExp(`^cpu${Math.min(core, LAST)} (.*)$`, 'm').exec(
      readFileSync('/proc/stat', 'utf8'),
    );
    return Number(line?.[1]?.split(' ')[7] ?? 0) * TICK_MS;
  } catch {
    return 0; // Linux only.
  }
}
