import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeUdpPort } from './ports.js';
import { until } from './until.js';

export const KAMAILIO = '/usr/sbin/kamailio';
export const MODULES = [
  '/usr/lib/x86_64-linux-gnu/kamailio/modules/',
  '/usr/lib/aarch64-linux-gnu/kamailio/modules/',
].find((folder) => existsSync(folder));

/** Whether Debian's Kamailio is installed; tests with it are skipped otherwise. */
export const HAS_KAMAILIO = existsSync(KAMAILIO) && MODULES !== undefined;

/** Kamailio as a proxy that records its route, over UDP on 127.0.0.1. */
export class Kamailio {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #folder: string;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
    const config = ['-f', join(folder, 'kamailio.cfg'), '-DD', '-E'];
    const folders = ['-Y', folder, '-w', folder];
    // A process group of its own: its workers outlive a main process that is killed alone.
    const options = { stdio: 'ignore', detached: true } as const;
    this.#child = spawn(KAMAILIO, [...config, ...folders, '-m', '32', '-M', '4'], options);
    this.#exited = once(this.#child, 'exit');
  }

  /** Starts it in front of a SIP port; resolves when it takes requests. */
  static async start(nextPort: number): Promise<Kamailio> {
    const port = await freeUdpPort();
    const folder = mkdtempSync(join(tmpdir(), 'kamailio-'));
    const config = readFileSync(new URL('../fixtures/kamailio.cfg', import.meta.url), 'utf8')
      .replace('127.0.0.1:PORT', `127.0.0.1:${port}`)
      .replace('GATEWAY"', `${nextPort}"`)
      .replace('"MODULES"', `"${MODULES ?? ''}"`);
    writeFileSync(join(folder, 'kamailio.cfg'), config);
    const proxy = new Kamailio(port, folder);
    await until('Kamailio', () => answersPing(port), { withinMs: 20_000, everyMs: 1 });
    return proxy;
  }

  async stop(): Promise<void> {
    process.kill(-this.#child.pid!, 'SIGKILL');
    await this.#exited;
    rmSync(this.#folder, { recursive: true });
  }
}

/** Whether the proxy answers; until it is ready its port drops requests. */
export async function answersPing(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const from = `127.0.0.1:${socket.address().port}`;
    const ping = [
      `OPTIONS sip:127.0.0.1:${port} SIP/2.0`,
      `Via: SIP/2.0/UDP ${from};branch=z9hG4bK${process.hrtime.bigint()}`,
      `From: <sip:ping@${from}>;tag=1`,
      `To: <sip:127.0.0.1:${port}>`,
      `Call-ID: ${process.hrtime.bigint()}`,
      'CSeq: 1 OPTIONS',
      'Max-Forwards: 70',
      'Content-Length: 0',
    ];
    socket.send(`${ping.join('\r\n')}\r\n\r\n`, port, '127.0.0.1');
    await once(socket, 'message', { signal: AbortSignal.timeout(100) });
    return true;
  } catch {
    return false; // Not up yet.
  } finally {
    socket.close();
  }
}
