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

  /** Those that can take a call, in the order that new calls should try them: least loaded first. */
  candidates(except?: FreeswitchServer): FreeswitchServer[] {
    return this.#servers
      .filter((server) => server !== except)
      .map((server) => ({ server, ...server.status() }))
      .filter(({ available }) => available)
      .sort((a, b) => a.load - b.load)
      .map(({ server }) => server);
  }
}
