import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createFront, type Readiness } from '../api/index.js';
import type { DeviceGate } from '../core/index.js';
import { BrowserServer } from '../devices/browser/index.js';
import type { SocketGateOptions } from '../devices/socket-gate.js';
import { Upgrades } from '../devices/upgrades.js';
import type { MediaPlane } from '../media/index.js';
import type { LoadControl } from './load/index.js';
import { measureBrowsers, type measureRequests } from './metrics/traffic.js';
import { type ProgramsPart, servePrograms } from './programs.js';
import type { Config } from './read-config.js';
import { type Descriptors, guardConnections } from './sockets.js';
import { explainListenError } from './start-error.js';
import type { Teardown } from './teardown.js';
import { VERSION } from './version.js';

interface HttpParts {
  readonly gate: DeviceGate;
  readonly media: MediaPlane;
  readonly load: LoadControl;
  readonly descriptors: Descriptors;
  readonly sockets: Required<SocketGateOptions>;
  readonly metrics: Registry;
  readonly onAnswered: ReturnType<typeof measureRequests>;
  readonly readiness: () => Readiness;
  /** Answers what is not about this process: REST and the console. */
  readonly passOn: (request: IncomingMessage, response: ServerResponse) => void;
}

/** What listens on the HTTP port. */
interface HttpPart {
  readonly programs: ProgramsPart;
  /** @throws Error when the port cannot be listened on */
  listen(): Promise<{ readonly http: string; readonly httpPort: number }>;
  /** Also those with requests under way. */
  cutConnections(): void;
}

/**
 * Prepares what listens on the HTTP port: health and metrics, the WebSockets of pages and programs, and all that is passed
 * on. Pages and programs of the gateway before go on with their media.
 */
export async function prepareHttp(
  config: Config,
  log: Logger,
  teardown: Teardown,
  { gate, media, load, descriptors, sockets, metrics, onAnswered, readiness, passOn }: HttpParts,
): Promise<HttpPart> {
  const { trustedProxies, metricsFor } = config;
  const front = createFront({
    version: VERSION,
    clientAddress: sockets.clientAddress,
    ...{ readiness, metrics, metricsFor, onAnswered, passOn, log },
  });
  guardConnections({ server: front.server, descriptors, metrics, trustedProxies });
  const upgrades = new Upgrades(front.server);
  const browsers = new BrowserServer({
    ...sockets,
    upgrades,
    gate,
    media,
    log: log.child({ part: 'browser' }),
  });
  await browsers.restore(media.carried());
  load.countIn(() => browsers.counters().devices);
  measureBrowsers(metrics, () => browsers.counters());
  teardown.add('http', () => front.close());
  teardown.add('browsers', () => browsers.stop());
  const programs = await servePrograms(config, log, teardown, { gate, media, metrics, upgrades, sockets });
  load.countIn(() => programs.devices());
  return {
    programs,
    async listen() {
      await front.listen(config.http).catch((error: unknown) => {
        throw explainListenError(error, { host: 'PATCHBAY_HTTP_HOST', port: 'PATCHBAY_HTTP_PORT' });
      });
      const { port } = front.server.address() as AddressInfo;
      return { http: `http://${config.http.host}:${port}`, httpPort: port };
    },
    cutConnections: () => front.server.closeAllConnections(),
  };
}
