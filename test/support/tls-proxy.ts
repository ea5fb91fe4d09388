import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificate } from './certificate.js';
import { codeBlock } from './page-blocks.js';
import { freeTcpPort } from './ports.js';
import { until } from './until.js';

export type ProxyName = 'nginx' | 'haproxy';

const PAGE = 'docs/operations.md';
const PROGRAMS = { nginx: '/usr/sbin/nginx', haproxy: '/usr/sbin/haproxy' };

/** Whether Debian's package is installed; tests with it are skipped otherwise. */
export function isInstalled(program: string): boolean {
  try {
    accessSync(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export const hasProxy = (name: ProxyName): boolean => isInstalled(PROGRAMS[name]);

/** nginx or HAProxy with TLS in front of a gateway, with the configuration in docs/operations.md. */
export class TlsProxy {
  readonly port: number;
  /** PEM of its certificate, which is for 127.0.0.1. */
  readonly certificate: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #said = '';

  private constructor(port: number, certificate: string, folder: string, command: readonly string[]) {
    this.port = port;
    this.certificate = certificate;
    this.#folder = folder;
    const [program, ...args] = command;
    // A process group of its own, with its workers.
    this.#child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    for (const output of [this.#child.stdout!, this.#child.stderr!]) {
      output.on('data', (data: Buffer) => (this.#said += data.toString()));
    }
    this.#ended = once(this.#child, 'close');
  }

  /** Starts it in front of the gateway's port; resolves when it takes connections. */
  static async start(name: ProxyName, gatewayPort: number): Promise<TlsProxy> {
    const folder = mkdtempSync(join(tmpdir(), `patchbay-${name}-`));
    const port = await freeTcpPort();
    const { certFile, keyFile, remove } = makeCertificate();
    const [certificate, key] = [certFile, keyFile].map((file) => readFileSync(file, 'utf8'));
    remove();
    writeFileSync(join(folder, 'fullchain.pem'), certificate!);
    writeFileSync(join(folder, 'privkey.pem'), key!);
    writeFileSync(join(folder, 'patchbay.pem'), certificate! + key!);
    const gateway = { '127.0.0.1:8080': `127.0.0.1:${gatewayPort}` };
    const files = { '/etc/ssl/patchbay': folder };
    const command = { nginx: nginxCommand, haproxy: haproxyCommand }[name](folder, port, {
      ...gateway,
      ...files,
    });
    const proxy = new TlsProxy(port, certificate!, folder, command);
    await until(name, () => proxy.#takesConnections(), {
      withinMs: 20_000,
      everyMs: 20,
      seen: () => Promise.resolve(proxy.#said),
    });
    return proxy;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) process.kill(-this.#child.pid!, 'SIGKILL');
    await this.#ended;
    rmSync(this.#folder, { recursive: true });
  }

  async #takesConnections(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error(`The proxy did not start: ${this.#said}`);
    const socket = connect(this.port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return true;
    } catch {
      return false; // Not up yet.
    } finally {
      socket.destroy();
    }
  }
}

/** The page has a file of `conf.d`; around it is what Debian's nginx.conf has, in a folder of its own. */
function nginxCommand(folder: string, port: number, replaced: Record<string, string>): readonly string[] {
  const block = codeBlock(PAGE, 'nginx', 'upstream patchbay', {
    'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
    ...replaced,
  });
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const main = [
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'daemon off;',
    'worker_processes 1;',
    `pid ${folder}/nginx.pid;`,
    'error_log stderr;',
    'events {}',
    'http {',
    'access_log off;',
    ...scratch.map((name) => `${name}_temp_path ${folder}/${name};`),
    block,
    '}',
  ];
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, main.join('\n'));
  return [PROGRAMS.nginx, '-p', folder, '-e', 'stderr', '-c', file];
}

function haproxyCommand(folder: string, port: number, replaced: Record<string, string>): readonly string[] {
  const file = join(folder, 'haproxy.cfg');
  const block = codeBlock(PAGE, 'haproxy', 'frontend patchbay', {
    'bind :443': `bind 127.0.0.1:${port}`,
    ...replaced,
  });
  writeFileSync(file, block);
  return [PROGRAMS.haproxy, '-db', '-f', file];
}
