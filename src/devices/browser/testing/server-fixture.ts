import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import { gateOf } from '../../../cluster/testing/index.js';
import type { Core, DeviceGate, MediaType } from '../../../core/index.js';
import { ACCOUNT, coreForTests } from '../../../core/testing/index.js';
import { Upgrades } from '../../upgrades.js';
import { BrowserServer, type BrowserServerOptions } from '../browser-server.js';
import { type FakeClock, silentLog } from '../../../shared/testing/index.js';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { RawClient } from './raw-client.js';

/** A browser server over a real core and real sockets, with fake media and a clock that the test turns. */
class ServerFixture {
  readonly core: Core;
  readonly clock: FakeClock;
  readonly media = new FakeMediaPlane();
  readonly #options: Partial<BrowserServerOptions>;
  readonly #server = createServer();
  readonly #upgrades = new Upgrades(this.#server);
  readonly #clients: RawClient[] = [];
  readonly #gate: DeviceGate;
  #browsers: BrowserServer;

  private constructor(options: Partial<BrowserServerOptions>) {
    const { core, clock } = coreForTests();
    this.core = core;
    this.#gate = gateOf(core, clock);
    this.clock = clock;
    this.#options = options;
    this.#browsers = this.#create();
  }

  get browsers(): BrowserServer {
    return this.#browsers;
  }

  static async start(options: Partial<BrowserServerOptions> = {}): Promise<ServerFixture> {
    const fixture = new ServerFixture(options);
    await once(fixture.#server.listen(0, '127.0.0.1'), 'listening');
    return fixture;
  }

  /** A participant, in the session if one is given and subscribed to everyone there. */
  participant(
    sessionId?: string,
    publishPermissions: readonly MediaType[] = ['audio', 'video'],
  ): { id: string; token: string } {
    const { participant, token } = this.core.createParticipant(ACCOUNT, { publishPermissions });
    if (sessionId !== undefined) this.core.addToSession(ACCOUNT, sessionId, participant.id, { sessionId });
    return { id: participant.id, token };
  }

  session(): string {
    return this.core.createSession(ACCOUNT, {}).id;
  }

  url(token: string, options: { uniqueId?: string; path?: string; sdkVersion?: string } = {}): string {
    const { port } = this.#server.address() as AddressInfo;
    const { uniqueId = 'unique-1', path = '/v3/', sdkVersion = '0.12.0-beta.1' } = options;
    const query = new URLSearchParams({ token, client: 'browser', sdkVersion, uniqueId });
    return `ws://127.0.0.1:${String(port)}${path}?${query.toString()}`;
  }

  async open(token: string, options: Parameters<ServerFixture['url']>[1] = {}): Promise<RawClient> {
    const client = await RawClient.open(this.url(token, options));
    this.#clients.push(client);
    return client;
  }

  /** A client that has said that it is ready. */
  async ready(token: string, options: Parameters<ServerFixture['url']>[1] = {}): Promise<RawClient> {
    const client = await this.open(token, options);
    await client.call('setMediaPreferences', { protocol: 'WEBRTC' });
    return client;
  }

  /** Another server in place of this one, with what the core has kept. */
  async restart(): Promise<void> {
    await this.#browsers.stop();
    this.#browsers = this.#create();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.#browsers.stop();
    await this.core.stop();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #create(): BrowserServer {
    return new BrowserServer({
      upgrades: this.#upgrades,
      gate: this.#gate,
      media: this.media,
      clock: this.clock,
      log: silentLog,
      ...this.#options,
    });
  }
}

/** The server that a test starts; it is stopped after the test. */
interface ServerStage {
  start(options?: Partial<BrowserServerOptions>): Promise<ServerFixture>;
  /** The one that was started last. */
  readonly fixture: ServerFixture;
}

/** Call it at the top of a file. */
export function useBrowserServer(): ServerStage {
  let fixture: ServerFixture | undefined;
  afterEach(() => fixture?.stop());
  return {
    start: async (options) => (fixture = await ServerFixture.start(options)),
    get fixture() {
      if (!fixture) throw new Error('No server was started in this test.');
      return fixture;
    },
  };
}
