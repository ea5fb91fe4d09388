import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import { SipClient } from '../src/devices/phone/index.js';
import { startSipServer } from '../src/sip-server/index.js';

const SECRET = 'of-the-bench';

/** An embedded SIP server with a drachtio-srf application, to place calls to FreeSWITCH. */
export interface Signalling {
  readonly srf: () => Srf;
  stop(): Promise<void>;
}

export async function startSignalling(log: Logger): Promise<Signalling> {
  const sipServer = await startSipServer({
    listeners: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    admin: { host: '127.0.0.1', port: 0, secret: SECRET },
    allow: [],
    publicIp: undefined,
    log,
  });
  const client = new SipClient({ server: { ...sipServer.adminAddress, secret: SECRET }, log });
  await client.connect(5000);
  return {
    srf: () => client.srf,
    async stop() {
      client.stop();
      await sipServer.stop();
    },
  };
}
