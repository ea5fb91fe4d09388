import type { FreeswitchServer } from './server.js';

/** Several FreeSWITCHes, of which any can take any call. */
export class FreeswitchPool {
  readonly #servers: readonly FreeswitchServer[];

  constructor(servers: readonly FreeswitchServer[]) {
    this.#servers = servers;
  }

  /** Resolves when each was tried once. */
  async start(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.start()));
  }

  stop(): void {
    for (const server of this.#servers) server.stop();
  }

  /** The least loaded that is healthy and has room, in the order that new calls should try them. */
  candidates(except?: FreeswitchServer): FreeswitchServer[] {
    return this.#servers
      .filter((server) => server !== except)
      .map((server) => ({ server, ...server.status() }))
      .filter(({ healthy, load }) => healthy && load < 1)
      .sort((a, b) => a.load - b.load)
      .map(({ server }) => server);
  }
}
