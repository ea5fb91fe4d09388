import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SipServer } from '../../src/sip-server/index.js';
import { freeUdpPort } from './ports.js';
import { addressOf } from './sip-server.js';
import { until } from './until.js';

const PACKAGE = join(dirname(createRequire(import.meta.url).resolve('drachtio-srf')), '..');

/** Constructs an application and calls the method that sets it up; a ready-made one sets itself up. */
const RUN = `
  const [script, method, ...args] = JSON.parse(process.argv[2]);
  const published = require(script);
  const app = typeof published === 'function' ? new published() : { srf: published };
  app.on?.('connected', async (dialog) => {
    const { uas, uac } = dialog;
    if (uas && uac) {
      uas.on('destroy', () => uac.destroy());
      uac.on('destroy', () => uas.destroy());
    } else if (dialog.getCountOfSubscriptions() > 0) {
      // As the package's own test of it does.
      for (const state of ['active', 'terminated']) {
        const headers = { Event: 'presence', 'Subscription-State': state };
        await dialog.request({ method: 'NOTIFY', headers });
      }
    }
  });
  app.srf.on('connect', () => { if (method) app[method](...args); process.send('ready'); });`;

/** A phone that SIPp plays. */
interface PlayedPhone {
  readonly uri: string;
  /** SIPp's exit code, 0 when everything came as expected. */
  readonly done: Promise<number | null>;
}

/** The example applications and SIPp scenarios in drachtio-srf's package. */
export class PublishedSrf {
  readonly #folder = mkdtempSync(join(tmpdir(), 'srf-published-'));
  readonly #children: ChildProcess[] = [];

  constructor() {
    // The applications ask the package `config` where to connect.
    mkdirSync(join(this.#folder, 'config'));
    const answer = "{ host: '127.0.0.1', port: Number(process.env.ADMIN_PORT), secret: 'cymru' }";
    writeFileSync(join(this.#folder, 'config', 'index.js'), `exports.get = () => (${answer});`);
    writeFileSync(join(this.#folder, 'run.js'), RUN);
  }

  /**
   * Runs a published application, connected to a server, and calls the method that sets it up, if it has one. `changes`
   * replaces text in it that is specific to its author's network.
   */
  async run(
    server: SipServer,
    script: string,
    method = '',
    args: readonly unknown[] = [],
    changes: readonly (readonly [string, string])[] = [],
  ): Promise<void> {
    const file =
      changes.length > 0 ? this.#changed(script, changes) : join(PACKAGE, 'test', 'scripts', script);
    const env = {
      ...process.env,
      NODE_PATH: [this.#folder, join(PACKAGE, '..')].join(':'),
      ADMIN_PORT: String(server.adminAddress.port),
    };
    const told = JSON.stringify([file, method, ...args]);
    const child = fork(join(this.#folder, 'run.js'), [told], { env, execArgv: [], stdio: 'ignore' });
    this.#children.push(child);
    await once(child, 'message');
  }

  /** Plays a published scenario once, as a caller of a server. @returns SIPp's exit code */
  async call(server: SipServer, scenario: string): Promise<number | null> {
    const callee = `127.0.0.1:${addressOf(server, 'udp').port}`;
    return this.#exitOf(await this.#sipp(scenario, await freeUdpPort(), [callee]));
  }

  /** Plays a published scenario once, as a phone that is called. */
  async answer(scenario: string): Promise<PlayedPhone> {
    const port = await freeUdpPort();
    const sipp = await this.#sipp(scenario, port, []);
    await until('SIPp', () => isTaken(port), { withinMs: 20_000, everyMs: 5 });
    return { uri: `sip:127.0.0.1:${port}`, done: this.#exitOf(sipp) };
  }

  /** Ends whatever still runs. */
  stopAll(): void {
    for (const child of this.#children.splice(0)) child.kill('SIGKILL');
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #changed(script: string, changes: readonly (readonly [string, string])[]): string {
    const text = readFileSync(join(PACKAGE, 'test', 'scripts', script), 'utf8');
    const file = join(this.#folder, script);
    const all = [["'../..'", JSON.stringify(PACKAGE)] as const, ...changes];
    writeFileSync(
      file,
      all.reduce((changed, [from, to]) => changed.replaceAll(from, to), text),
    );
    return file;
  }

  async #sipp(scenario: string, port: number, args: readonly string[]): Promise<ChildProcess> {
    const file = join(this.#folder, scenario);
    const text = readFileSync(join(PACKAGE, 'test', 'scenarios', scenario), 'utf8');
    writeFileSync(
      file,
      text
        // As published, but for the seconds that it waits with nothing to come,
        .replace(/<(timewait|pause)\b[^>]*?\/>/g, (_all, name: string) => `<${name} milliseconds="100"/>`)
        // and for what SIPp 3.6 does not take for XML.
        .replaceAll('"<sip:(.*)>"', '"&lt;sip:(.*)&gt;"'),
    );
    const limits = ['-m', '1', '-timeout', '20s', '-timeout_error', '-nostdin'];
    const at = ['-i', '127.0.0.1', '-p', String(port)];
    const options = { cwd: this.#folder, stdio: 'ignore' } as const;
    const child = spawn('sipp', ['-sf', file, ...limits, ...at, ...args], options);
    this.#children.push(child);
    await once(child, 'spawn');
    return child;
  }

  async #exitOf(child: ChildProcess): Promise<number | null> {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  }
}

/** Whether a UDP port is in use. Reads /proc, since binding the port could disturb its owner. */
function isTaken(port: number): boolean {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const sockets = readFileSync('/proc/net/udp', 'utf8').split('\n').slice(1);
  return sockets.some((socket) => socket.trim().split(/\s+/)[1]?.endsWith(end) === true);
}
