/** A process for `../sip.ts`: the SIP server with the smallest drachtio-srf application that answers calls. */
import Srf from 'drachtio-srf';
import { startSipServer } from '../../src/sip-server/index.js';
import { SDP } from '../../test/support/sip-peer.js';

const ignore = (): void => undefined;
const server = await startSipServer({
  listeners: [
    { transport: 'udp', host: '127.0.0.1', port: 0 },
    { transport: 'tcp', host: '127.0.0.1', port: 0 },
  ],
  admin: { host: '127.0.0.1', port: 0, secret: 'bench' },
  allow: [],
  log: { debug: ignore, info: ignore, warn: ignore, error: ignore, isLevelEnabled: () => false },
});
const srf = new Srf();
srf.invite((req, res) => {
  srf.createUAS(req, res, { localSdp: SDP }).catch((error: unknown) => {
    console.error(error);
  });
});
srf.on('connect', () => process.send?.({ port: server.sipAddresses[0]?.port }));
void srf.connect({ ...server.adminAddress, secret: 'bench' });
