import type { BrowserDevice, DeviceContext } from '../device.js';
import type { MediaPlaneOptions, OpenBrowserOptions } from '../types.js';
import { BrowserPeer } from './browser-peer.js';
import { FanoutTable } from './forward/fanout-table.js';
import { DataChannelPipes } from './transport/datachannel-pipe.js';
import { freeUdpPort } from './transport/free-port.js';
import type { PipeFactory } from './transport/pipe.js';

/** Makes the plane's browser devices, all on one UDP port. */
export interface BrowserFactory {
  open(context: DeviceContext, options: OpenBrowserOptions): Promise<BrowserDevice>;
  /** Frees the port and everything still open on it. */
  stop(): Promise<void>;
}

/**
 * Browser devices over node-datachannel. The library works in one thread of a process only: make the factory in
 * the main thread. Nothing is loaded or bound before the first device.
 */
export function createBrowserFactory(options: MediaPlaneOptions): BrowserFactory {
  const fanouts = new FanoutTable();
  let pipes: Promise<PipeFactory> | undefined;
  return {
    async open(context, openOptions) {
      pipes ??= openPipes(options);
      return new BrowserPeer(context, openOptions, { pipes: await pipes, fanouts });
    },
    async stop() {
      await (await pipes)?.stop();
    },
  };
}

async function openPipes(options: MediaPlaneOptions): Promise<PipeFactory> {
  const { webrtcHost: host, webrtcPort, publicIp, log } = options;
  const port = webrtcPort === 0 ? await freeUdpPort(host) : webrtcPort;
  return new DataChannelPipes({ host, port, log, ...(publicIp === undefined ? {} : { publicIp }) });
}
