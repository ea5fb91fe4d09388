import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayNetwork } from '../../../test/support/gateway-network.js';
import type { LogLine } from '../../../test/support/gateway.js';
import { PostgresServer } from '../../../test/support/postgres.js';
import type { Rest } from '../../../test/support/rest.js';
import type { CrowdRest } from '../talking/crowd.js';
import { patiently } from '../talking/patience.js';
import { Machine } from './machine.js';

interface PlatformOptions {
  readonly gateways: number;
  /** Media hosts of each. */
  readonly hosts: number;
  /** PATCHBAY_EDGE_LEASE. */
  readonly leaseS: number;
}

/** Gateways on machines of their own, over one PostgreSQL. */
export class Platform {
  readonly machines: readonly Machine[];
  readonly network: GatewayNetwork;
  readonly database: PostgresServer;
  readonly #url: string;
  #turn = 0;

  private constructor(
    network: GatewayNetwork,
    database: PostgresServer,
    url: string,
    { hosts, leaseS }: PlatformOptions,
  ) {
    this.network = network;
    this.database = database;
    this.#url = url;
    const env = {
      PATCHBAY_STORE: url,
      PATCHBAY_MEDIA_HOSTS: String(hosts),
      PATCHBAY_EDGE_LEASE: String(leaseS),
      PATCHBAY_API_RATE: '0',
      PATCHBAY_DRACHTIO: '',
      PATCHBAY_FREESWITCH: '',
      PATCHBAY_LOG_LEVEL: process.env['SOAK_LOG_LEVEL'] ?? 'info',
    };
    this.machines = network.places.map((_, at) => new Machine({ network, at, env }));
  }

  static async start(options: PlatformOptions): Promise<Platform> {
    const network = new GatewayNetwork(options.gateways);
    const database = await PostgresServer.start({ network: network.database });
    const platform = new Platform(network, database, await database.database(), options);
    for (const machine of platform.machines) await machine.start();
    return platform;
  }

  /** REST, asked at all gateways in turn. */
  get rest(): CrowdRest & Pick<Rest, 'request'> {
    const next = (): Rest => this.machines[(this.#turn += 1) % this.machines.length]!.rest;
    return {
      session: (...all) => next().session(...all),
      participant: (...all) => next().participant(...all),
      subscribe: (...all) => next().subscribe(...all),
      join: (...all) => next().join(...all),
      leave: (...all) => next().leave(...all),
      disconnectDevice: (...all) => next().disconnectDevice(...all),
      request: (...all) => next().request(...all),
    };
  }

  /** Whether all gateways are up, and in touch with a leader. */
  async isReady(): Promise<boolean> {
    return (await Promise.all(this.machines.map((machine) => machine.isReady()))).every(Boolean);
  }

  /** Index of the machine that leads now; -1: none does. */
  async leader(): Promise<number> {
    const [row = ''] = await this.database.sql(
      'SELECT holder FROM patchbay.leader WHERE expires_at > now()',
      this.#url,
    );
    return this.machines.findIndex(({ holderId }) => row.endsWith(holderId));
  }

  /** What REST shows, whichever gateway answers; undefined: there is no such thing. */
  async get<T>(path: string): Promise<T | undefined> {
    try {
      return (await patiently(() => this.rest.request('GET', path))) as T;
    } catch (error) {
      if (String(error).includes(': 404 ')) return undefined;
      throw error;
    }
  }

  /** Phone calls that the gateways have, in all. */
  async calls(): Promise<number> {
    const all = await patiently(() => Promise.all(this.machines.map((machine) => machine.metrics())));
    return all.reduce((sum, metrics) => sum + (metrics.get('patchbay_calls') ?? 0), 0);
  }

  /** @returns what is left that should not be */
  async stop(): Promise<string[]> {
    const left: string[] = [];
    // The leader last, whichever it is: the others need it to end in order.
    for (const machine of this.machines) left.push(...(await machine.stop()));
    await this.database.stop();
    this.network.stop();
    return left;
  }

  /** Writes what all gateways have logged. @returns where */
  writeLog(name: string): string {
    const path = join(tmpdir(), name);
    const lines = this.machines.flatMap(({ name: machine, log }) =>
      log.map((line): LogLine => ({ machine, ...line })),
    );
    const time = (line: LogLine): number => Number(line['time'] ?? 0);
    writeFileSync(
      path,
      lines
        .sort((a, b) => time(a) - time(b))
        .map((line) => JSON.stringify(line))
        .join('\n'),
    );
    return path;
  }
}
