import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromiumPath } from './chromium.js';
import { until } from './until.js';

const TURN_PORT = 3478;
/** The address that the router forwards to the gateway (RFC 5737). */
const ANNOUNCED = '203.0.113.7';
const INSIDE = '10.77.0';

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function works(command: string, ...args: readonly string[]): boolean {
  try {
    run(command, ...args);
    return true;
  } catch {
    return false;
  }
}

/** A Binding request without attributes (RFC 8489 section 5). */
const BINDING_REQUEST = Buffer.from('000100002112a442706174636862617974657374', 'hex');

/** Waits until a STUN server answers. */
async function answersStun(host: string): Promise<void> {
  const socket = createSocket('udp4');
  let answered = false;
  socket.on('message', () => (answered = true));
  const ask = (): boolean => {
    socket.send(BINDING_REQUEST, TURN_PORT, host);
    return answered;
  };
  await until('the TURN server', ask, { withinMs: 20_000, everyMs: 100 }).finally(() => socket.close());
}

/** Why network namespaces cannot be made here; undefined if they can. */
export function natMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const programs = [
    ['ip', '-V'],
    ['nft', '--version'],
    ['turnserver', '--version'],
  ] as const;
  const missing = programs.find(([program, version]) => !works(program, version));
  if (missing) return `needs ${missing[0]}`;
  const probe = `pbprobe${String(process.pid)}`;
  if (!works('ip', 'netns', 'add', probe)) return 'needs network namespaces';
  run('ip', 'netns', 'del', probe);
  return undefined;
}

/**
 * A home network behind a symmetric NAT, the network with the gateway, and one with a TURN server, joined by a router:
 *
 *     page 10.77.0.2 -- router -- gateway 198.18.n.1, announced as 203.0.113.7
 *                         `------ turn 198.19.n.2
 *
 * The router maps each flow of the home to another port, so STUN cannot tell the home's public address.
 */
export class NatNetwork {
  readonly announced = ANNOUNCED;
  /** Address of the gateway, on this side of the router's forwarding. */
  readonly gatewayHost: string;
  readonly turnUrl: string;
  readonly #turnHost: string;
  readonly #tag = String(process.pid);
  readonly #folder = mkdtempSync(join(tmpdir(), 'patchbay-nat-'));
  #turn: ChildProcess | undefined;

  /** @throws when {@link natMissing} gives a reason */
  constructor() {
    const n = String(process.pid % 256);
    this.gatewayHost = `198.18.${n}.1`;
    this.#turnHost = `198.19.${n}.2`;
    this.turnUrl = `turn:${this.#turnHost}:${String(TURN_PORT)}?transport=udp`;
    this.#connect(`198.18.${n}`, `198.19.${n}`);
    run('ip', 'netns', 'exec', this.#router, 'nft', this.#nat());
  }

  /** Starts coturn with a secret for time-limited credentials. */
  async startTurn(secret: string): Promise<void> {
    const host = this.#turnHost;
    const options = [
      ...[
        '-n',
        '--no-tls',
        '--no-dtls',
        '--no-cli',
        '--simple-log',
        '--log-file=stdout',
        '--realm=patchbay.test',
      ],
      ...[`--listening-ip=${host}`, `--relay-ip=${host}`, `--listening-port=${String(TURN_PORT)}`],
      ...[
        '--use-auth-secret',
        `--static-auth-secret=${secret}`,
        `--pidfile=${join(this.#folder, 'turn.pid')}`,
      ],
    ];
    this.#turn = spawn('ip', ['netns', 'exec', this.#turnSpace, 'turnserver', ...options], {
      stdio: 'ignore',
    });
    await answersStun(host);
  }

  /** Drops packets from the home to the gateway's media port from now on, or lets them through again. */
  blockMedia(port: number, blocked: boolean): void {
    const rule = `add rule ip home forward ip saddr ${INSIDE}.0/24 udp dport ${String(port)} drop`;
    run('ip', 'netns', 'exec', this.#router, 'nft', blocked ? rule : 'flush chain ip home forward');
  }

  /** A program that is Chromium in the home network. */
  chromium(): string {
    return this.#wrapper('chromium', chromiumPath());
  }

  /** A program that is this Node in the home network. */
  node(): string {
    return this.#wrapper('node', process.execPath);
  }

  async stop(): Promise<void> {
    if (this.#turn?.exitCode === null) {
      const ended = once(this.#turn, 'exit');
      this.#turn.kill('SIGKILL');
      await ended;
    }
    for (const space of [this.#home, this.#turnSpace, this.#router]) works('ip', 'netns', 'del', space);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #home(): string {
    return `pbhome${this.#tag}`;
  }
  get #router(): string {
    return `pbroute${this.#tag}`;
  }
  get #turnSpace(): string {
    return `pbturn${this.#tag}`;
  }

  #connect(gatewayNet: string, turnNet: string): void {
    const [home, router, turn] = [this.#home, this.#router, this.#turnSpace];
    for (const space of [home, router, turn]) {
      run('ip', 'netns', 'add', space);
      run('ip', '-n', space, 'link', 'set', 'lo', 'up');
    }
    const outside = `pbo${this.#tag}`;
    run('ip', 'link', 'add', outside, 'type', 'veth', 'peer', 'name', 'out', 'netns', router);
    run('ip', '-n', router, 'link', 'add', 'in', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', home);
    run('ip', '-n', router, 'link', 'add', 'turn', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', turn);
    run('ip', 'addr', 'add', `${gatewayNet}.1/30`, 'dev', outside);
    run('ip', 'link', 'set', outside, 'up');
    const ends = [
      [router, 'out', `${gatewayNet}.2/30`],
      [router, 'in', `${INSIDE}.1/24`],
      [router, 'turn', `${turnNet}.1/30`],
      [home, 'eth0', `${INSIDE}.2/24`],
      [turn, 'eth0', `${turnNet}.2/30`],
    ] as const;
    for (const [space, device, address] of ends) {
      run('ip', '-n', space, 'addr', 'add', address, 'dev', device);
      run('ip', '-n', space, 'link', 'set', device, 'up');
    }
    run('ip', '-n', home, 'route', 'add', 'default', 'via', `${INSIDE}.1`);
    run('ip', '-n', turn, 'route', 'add', 'default', 'via', `${turnNet}.1`);
    run('ip', 'route', 'add', `${turnNet}.0/30`, 'via', `${gatewayNet}.2`);
    run('ip', 'netns', 'exec', router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  }

  #nat(): string {
    return [
      'add table ip home',
      'add chain ip home forward { type filter hook forward priority 0; }',
      'add chain ip home arriving { type nat hook prerouting priority -100; }',
      `add rule ip home arriving ip daddr ${ANNOUNCED} dnat to ${this.gatewayHost}`,
      'add chain ip home leaving { type nat hook postrouting priority 100; }',
      `add rule ip home leaving ip saddr ${INSIDE}.0/24 masquerade fully-random`,
    ].join(';');
  }

  #wrapper(name: string, program: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, `#!/bin/sh\nexec ip netns exec ${this.#home} ${program} "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  }
}
