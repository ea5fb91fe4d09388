import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import type { Core, MediaType } from '../../../core/index.js';
import { ACCOUNT, coreForTests } from '../../../core/testing/index.js';
import { type BrowserGateway, type BrowserGatewayOptions, createBrowserGateway } from '../gateway.js';
import { type FakeClock, silentLog } from '../../../shared/testing/index.js';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { RawClient } from './raw-client.js';

/** A browser gateway over a real core and real sockets, with fake media and a clock that the test turns. */
class GatewayFixture {
  readonly core: Core;
  readonly clock: FakeClock;
  readonly media = new FakeMediaPlane();
  readonly #options: Partial<BrowserGatewayOptions>;
  readonly #server = createServer();
  readonly #clients: RawClient[] = [];
  #gateway: BrowserGateway;

  private constructor(options: Partial<BrowserGatewayOptions>) {
    const { core, clock } = coreForTests();
    this.core = core;
    this.clock = clock;
    this.#options = options;
    this.#gateway = this.#create();
  }

  get gateway(): BrowserGateway {
    return this.#gateway;
  }

  static async start(options: Partial<BrowserGatewayOptions> = {}): Promise<GatewayFixture> {
    const fixture = new GatewayFixture(options);
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

  async open(token: string, options: Parameters<GatewayFixture['url']>[1] = {}): Promise<RawClient> {
    const client = await RawClient.open(this.url(token, options));
    this.#clients.push(client);
    return client;
  }

  /** A client that has said that it is ready. */
  async ready(token: string, options: Parameters<GatewayFixture['url']>[1] = {}): Promise<RawClient> {
    const client = await this.open(token, options);
    await client.call('setMediaPreferences', { protocol: 'WEBRTC' });
    return client;
  }

  /** Another gateway in place of this one, with what the core has kept. */
  async restart(): Promise<void> {
    await this.#gateway.stop();
    this.#gateway = this.#create();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.#gateway.stop();
    await this.core.stop();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #create(): BrowserGateway {
    return createBrowserGateway({
      server: this.#server,
      gate: this.core,
      media: this.media,
      clock: this.clock,
      log: silentLog,
      ...this.#options,
    });
  }
}

/** The gateway that a test of the file starts; it is stopped after the test. */
interface GatewayStage {
  start(options?: Partial<BrowserGatewayOptions>): Promise<GatewayFixture>;
  /** The one that was started last. */
  readonly fixture: GatewayFixture;
}

/** Call it at the top of a file. */
export function useGateway(): GatewayStage {
  let fixture: GatewayFixture | undefined;
  afterEach(() => fixture?.stop());
  return {
    start: async (options) => (fixture = await GatewayFixture.start(options)),
    get fixture() {
      if (!fixture) throw new Error('No gateway was started in this test.');
      return fixture;
    },
  };
}
