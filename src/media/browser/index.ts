import type { EndpointContext } from '../endpoint.js';
import type { Log } from '../../shared/index.js';
import { NO_COUNTERS } from '../counters.js';
import type { BrowserMediaEvent, MediaCounters } from '../door.js';
import type { BrowserSpec, MediaPlaneOptions } from '../types.js';
import { BrowserEndpoint } from './browser-endpoint.js';
import { FanoutTable } from './forward/fanout.js';
import { DataChannelTransports, freeUdpPort, holdUdpPort } from './transport/datachannel-transports.js';
import type { TransportFactory } from './transport/transport.js';

export { BrowserEndpoint } from './browser-endpoint.js';
export { LastPicture } from './forward/last-picture.js';

/** Makes the plane's browser endpoints, all on one UDP port. */
interface BrowserFactory {
  open(context: EndpointContext<BrowserMediaEvent>, spec: BrowserSpec): Promise<BrowserEndpoint>;
  /**
   * Takes the UDP port that browsers' media comes to, before the first browser.
   * @throws MediaError NO_PORT by rejection when another program has it
   */
  holdPort(): Promise<number>;
  counters(): MediaCounters;
  /** Frees the port and everything still open on it. */
  stop(): Promise<void>;
}

/**
 * Browser endpoints over node-datachannel. The library works in one thread of a process only: make the factory in
 * the main thread.
 */
export function createBrowserFactory(options: MediaPlaneOptions, log: Log): BrowserFactory {
  const fanouts = new FanoutTable();
  let reportsIgnored = 0;
  const onReportIgnored = (): void => {
    reportsIgnored += 1;
  };
  const { webrtcHost: host, webrtcPort, publicIp } = options;
  const port = freeUdpPort(host, webrtcPort);
  // `open` reports a failure; a rejection before that must not count as unhandled.
  port.catch(() => undefined);
  let transports: TransportFactory | undefined;
  let held: { release(): void } | undefined;
  return {
    async open(context, spec) {
      const udp = { host, port: await port, log };
      transports ??= new DataChannelTransports({ ...udp, ...(publicIp === undefined ? {} : { publicIp }) });
      return new BrowserEndpoint(context, spec, { transports, fanouts, onReportIgnored });
    },
    async holdPort() {
      held ??= holdUdpPort(host, await port);
      return port;
    },
    counters: () => ({ ...NO_COUNTERS, reportsIgnored }),
    async stop() {
      held?.release();
      await transports?.stop();
    },
  };
}
