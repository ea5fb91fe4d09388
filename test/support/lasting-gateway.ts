import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway, type TestGateway } from './gateway.js';
import { freeUdpPort } from './ports.js';
import { Rest } from './rest.js';

/** A gateway that is ended and started again, with the same data and ports. */
export class LastingGateway {
  readonly #dataDir: string;
  readonly #env: Record<string, string>;
  #running: TestGateway;

  private constructor(dataDir: string, env: Record<string, string>, running: TestGateway) {
    this.#dataDir = dataDir;
    this.#env = env;
    this.#running = running;
  }

  static async start(given: Record<string, string> = {}): Promise<LastingGateway> {
    const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-lasting-'));
    const env = { ...given, PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()) };
    const running = await startGateway({ dataDir, env });
    return new LastingGateway(dataDir, { ...env, PATCHBAY_HTTP_PORT: String(running.httpPort) }, running);
  }

  /** The one that runs now. */
  get running(): TestGateway {
    return this.#running;
  }

  get wsUrl(): string {
    return this.#running.wsUrl;
  }

  get rest(): Rest {
    return new Rest(this.#running);
  }

  async again(end: 'kill' | 'stop'): Promise<void> {
    await this.#running[end]();
    this.#running = await startGateway({ dataDir: this.#dataDir, env: this.#env });
  }

  async stop(): Promise<void> {
    await this.#running.stop();
    rmSync(this.#dataDir, { recursive: true, force: true });
  }
}
