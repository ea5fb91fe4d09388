import { execFileSync } from 'node:child_process';
import type { PostgresNetwork } from './postgres.js';

function run(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** A machine of the network: how programs are started on it, and the settings of a gateway there. */
interface NetworkPlace {
  /** A command that runs the rest of its arguments there. */
  readonly runBy: readonly string[];
  /** Addresses of a gateway there, as environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Where phones and pages reach it. */
  readonly outsideHost: string;
}

/**
 * A network of gateways, each on a machine of its own with two cables: one to the phones and pages, which are on this
 * machine, and a private one to the other gateways and the database.
 *
 *     phones, pages 100.65.n.254 ---- outside ---- gateway 1: 100.65.n.1, 100.66.n.1 -.
 *                                          `------ gateway 2: 100.65.n.2, 100.66.n.2 ---- private ---- database 100.66.n.253
 *
 * It needs what {@link farNetworkMissing} looks for.
 */
export class GatewayNetwork {
  /** The address of phones and pages. */
  readonly phonesHost: string;
  readonly places: readonly NetworkPlace[];
  readonly #tag = String(process.pid);
  readonly #net = String(process.pid % 256);
  readonly #databaseHost: string;
  readonly #cut = new Set<number>();

  constructor(gateways: number) {
    this.phonesHost = `100.65.${this.#net}.254`;
    this.#databaseHost = `100.66.${this.#net}.253`;
    const switches = this.#space('sw');
    this.#makeSpace(switches);
    for (const bridge of ['outside', 'private']) {
      run('-n', switches, 'link', 'add', 'name', bridge, 'type', 'bridge');
      run('-n', switches, 'link', 'set', bridge, 'up');
    }
    const port = this.#space('o');
    run('link', 'add', port, 'type', 'veth', 'peer', 'name', 'phones', 'netns', switches);
    run('addr', 'add', `${this.phonesHost}/24`, 'dev', port);
    run('link', 'set', port, 'up');
    run('-n', switches, 'link', 'set', 'phones', 'master', 'outside', 'up');
    this.#makeSpace(this.#space('db'));
    this.#plug(this.#space('db'), 'private', 'database', this.#databaseHost);
    this.places = Array.from({ length: gateways }, (_, at) => this.#place(at + 1));
  }

  /** Where PostgreSQL is to run. */
  get database(): PostgresNetwork {
    const space = `/run/netns/${this.#space('db')}`;
    return {
      host: this.#databaseHost,
      clients: `100.66.${this.#net}.0/24`,
      // ip netns exec is for root alone.
      runBy: ({ uid, gid }) => ['nsenter', `--net=${space}`, `--setuid=${uid}`, `--setgid=${gid}`, '--'],
    };
  }

  /**
   * Has nothing more pass by the private cable of a gateway. Neither end notices: what they send is lost.
   * @param at index of {@link places}
   */
  cut(at: number): void {
    this.#cut.add(at);
    run('-n', this.#space('sw'), 'link', 'set', `private${String(at + 1)}`, 'nomaster');
  }

  join(at: number): void {
    if (!this.#cut.delete(at)) return;
    run('-n', this.#space('sw'), 'link', 'set', `private${String(at + 1)}`, 'master', 'private');
  }

  /** All processes in it must have ended. */
  stop(): void {
    for (const name of ['sw', 'db', ...this.places.map((_, at) => `g${String(at + 1)}`)])
      run('netns', 'del', this.#space(name));
  }

  #place(number: number): NetworkPlace {
    const space = this.#space(`g${String(number)}`);
    const [outside, inside] = [
      `100.65.${this.#net}.${String(number)}`,
      `100.66.${this.#net}.${String(number)}`,
    ];
    this.#makeSpace(space);
    this.#plug(space, 'outside', `outside${String(number)}`, outside);
    this.#plug(space, 'private', `private${String(number)}`, inside);
    return {
      runBy: ['ip', 'netns', 'exec', space],
      outsideHost: outside,
      env: {
        PATCHBAY_HTTP_HOST: outside,
        PATCHBAY_SIP_HOST: outside,
        PATCHBAY_RTP_HOST: outside,
        PATCHBAY_WEBRTC_HOST: outside,
        PATCHBAY_CLUSTER_HOST: inside,
      },
    };
  }

  #makeSpace(space: string): void {
    run('netns', 'add', space);
    run('-n', space, 'link', 'set', 'lo', 'up');
  }

  /** Joins a machine to a network. @param cable its name at the other end */
  #plug(space: string, network: string, cable: string, address: string): void {
    const switches = this.#space('sw');
    run('-n', switches, 'link', 'add', cable, 'type', 'veth', 'peer', 'name', network, 'netns', space);
    run('-n', switches, 'link', 'set', cable, 'master', network, 'up');
    run('-n', space, 'addr', 'add', `${address}/24`, 'dev', network);
    run('-n', space, 'link', 'set', network, 'up');
  }

  #space(name: string): string {
    return `pb${name}${this.#tag}`;
  }
}
