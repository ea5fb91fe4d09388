import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { freeTcpPort } from './ports.js';
import { until } from './until.js';

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Why there can be no network of our own here; undefined when there can. */
export function farNetworkMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const probe = `pbtry${String(process.pid)}`;
  try {
    run('ip', 'netns', 'add', probe);
    run('ip', 'netns', 'del', probe);
  } catch {
    return 'needs ip and network namespaces';
  }
  return undefined;
}

/** Joins what connects to its first argument, a port or the path of a socket, to the second. */
const JOIN = `
const net = require('node:net');
const [from, to] = process.argv.slice(1).map((end) => (end.startsWith('/') ? end : Number(end)));
net.createServer((one) => {
  const other = net.connect(to);
  for (const [a, b] of [[one, other], [other, one]]) {
    a.pipe(b);
    a.on('error', () => undefined);
    a.on('close', () => b.destroy());
  }
}).listen(from);`;

/**
 * A network of browsers, joined to this machine by one cable:
 *
 *     browsers 100.64.n.2 -- cable -- gateway 100.64.n.1
 */
export class FarNetwork {
  /** Where the gateway and the pages' server are to listen. */
  readonly gatewayHost: string;
  readonly #tag = String(process.pid);
  readonly #folder = mkdtempSync(join(tmpdir(), 'patchbay-far-'));
  readonly #children: ChildProcess[] = [];

  /** @throws when {@link farNetworkMissing} gives a reason */
  constructor() {
    const net = `100.64.${String(process.pid % 256)}`;
    this.gatewayHost = `${net}.1`;
    const [space, cable] = [this.#space, this.#cable];
    run('ip', 'netns', 'add', space);
    run('ip', '-n', space, 'link', 'set', 'lo', 'up');
    run('ip', 'link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
    run('ip', 'addr', 'add', `${net}.1/30`, 'dev', cable);
    run('ip', 'link', 'set', cable, 'up');
    run('ip', '-n', space, 'addr', 'add', `${net}.2/30`, 'dev', 'eth0');
    run('ip', '-n', space, 'link', 'set', 'eth0', 'up');
  }

  /** Pulls the cable, which the browsers’ system notices. */
  pull(): void {
    run('ip', 'link', 'set', this.#cable, 'down');
  }

  plug(): void {
    run('ip', 'link', 'set', this.#cable, 'up');
  }

  /** A program that is this one in the browsers' network. */
  inside(program: string): string {
    const path = join(this.#folder, basename(program));
    writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${this.#space} ${program} "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  }

  /** Has a port of 127.0.0.1 there be reached by the port of the same number here. @returns the port */
  async passOnPort(): Promise<number> {
    const port = await freeTcpPort();
    const [path, number] = [join(this.#folder, 'port'), String(port)];
    const inside = ['ip', 'netns', 'exec', this.#space];
    const ends = [
      [...inside, process.execPath, '-e', JOIN, path, number],
      [process.execPath, '-e', JOIN, number, path],
    ] as const;
    for (const [command, ...args] of ends) this.#children.push(spawn(command, args, { stdio: 'ignore' }));
    const isOpen = (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connect(port, '127.0.0.1', () => resolve(true));
        socket.once('connect', () => socket.destroy()).once('error', () => resolve(false));
      });
    await until('the way into the other network', () => existsSync(path) && isOpen(), { withinMs: 20_000 });
    return port;
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    run('ip', 'netns', 'del', this.#space);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #space(): string {
    return `pbfar${this.#tag}`;
  }

  get #cable(): string {
    return `pbc${this.#tag}`;
  }
}
