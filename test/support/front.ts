import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KAMAILIO, MODULES, answersPing } from './kamailio.js';
import { codeBlock } from './page-blocks.js';
import { freeTcpPort, freeUdpPort } from './ports.js';
import { until } from './until.js';

const PAGE = 'docs/scaling.md';
const HAPROXY = '/usr/sbin/haproxy';

/** A program in front of two gateways, with the configuration in docs/scaling.md, in a process group of its own. */
export class Front {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #folder: string;
  #said = '';

  private constructor(port: number, folder: string, [program, ...args]: readonly string[]) {
    this.port = port;
    this.#folder = folder;
    this.#child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    for (const output of [this.#child.stdout!, this.#child.stderr!])
      output.on('data', (data: Buffer) => (this.#said = (this.#said + data.toString()).slice(-10_000)));
    this.#ended = once(this.#child, 'close');
  }

  /** HAProxy, for HTTP and WebSockets. Resolves when it takes connections. */
  static async http(gateways: readonly [number, number]): Promise<Front> {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-front-'));
    const port = await freeTcpPort();
    const config = codeBlock(PAGE, 'haproxy', 'backend gateways', {
      'bind :8000': `bind 127.0.0.1:${port}`,
      '192.0.2.11:8080': `127.0.0.1:${gateways[0]}`,
      '192.0.2.12:8080': `127.0.0.1:${gateways[1]}`,
    });
    writeFileSync(join(folder, 'haproxy.cfg'), config);
    const front = new Front(port, folder, [HAPROXY, '-db', '-f', join(folder, 'haproxy.cfg')]);
    return front.#when(() => takesConnections(port));
  }

  /** Kamailio, for SIP over UDP. Resolves when it takes requests. */
  static async sip(gateways: readonly [number, number]): Promise<Front> {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-front-'));
    const port = await freeUdpPort();
    const list = codeBlock(PAGE, 'dispatcher', 'sip:', {
      '192.0.2.11:5060': `127.0.0.1:${gateways[0]}`,
      '192.0.2.12:5060': `127.0.0.1:${gateways[1]}`,
    });
    writeFileSync(join(folder, 'dispatcher.list'), list);
    const config = codeBlock(PAGE, 'kamailio', 'request_route', {
      '192.0.2.10:5060': `127.0.0.1:${port}`,
      '/etc/kamailio/dispatcher.list': join(folder, 'dispatcher.list'),
      'loadmodule "kex.so"': `mpath="${MODULES ?? ''}"\nloadmodule "kex.so"`,
    });
    writeFileSync(join(folder, 'kamailio.cfg'), config);
    const args = ['-f', join(folder, 'kamailio.cfg'), '-DD', '-E', '-Y', folder, '-w', folder];
    const front = new Front(port, folder, [KAMAILIO, ...args, '-m', '32', '-M', '4']);
    return front.#when(() => answersPing(port));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) process.kill(-this.#child.pid!, 'SIGKILL');
    await this.#ended;
    rmSync(this.#folder, { recursive: true });
  }

  async #when(isThere: () => Promise<boolean>): Promise<Front> {
    const look = (): Promise<boolean> => {
      if (this.#child.exitCode !== null) throw new Error(`It did not start: ${this.#said}`);
      return isThere();
    };
    const seen = (): Promise<string> => Promise.resolve(this.#said);
    try {
      await until('the front', look, { withinMs: 20_000, everyMs: 20, seen });
      return this;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // Not up yet.
  } finally {
    socket.destroy();
  }
}
