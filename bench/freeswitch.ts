/**
 * How much FreeSWITCH adds to the time in which a phone is answered: from INVITE to 200 with FreeSWITCH alone, and with
 * the gateway, which has it answer the phone and bridges it to the media plane.
 * Needs `PATCHBAY_TEST_FREESWITCH=host:port:secret` on this machine.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { pino } from 'pino';
import { median } from './median.js';
import { connectFreeswitch } from '../src/devices/phone/freeswitch/connection.js';
import { startFreeswitch } from '../src/devices/phone/freeswitch/index.js';
import { createMediaPlane } from '../src/media/index.js';
import { phoneOffer } from '../test/support/sipp.js';
import { startSignalling } from './freeswitch-signalling.js';

const CALLS = 50;

const [host, port, secret] = (process.env['PATCHBAY_TEST_FREESWITCH'] ?? '').split(':');
if (!host || !port || !secret) {
  console.error('Set PATCHBAY_TEST_FREESWITCH=host:port:secret of a running FreeSWITCH.');
  process.exit(2);
}
const freeswitchServer = { host, port: Number(port), secret };

const log = pino({ level: 'warn' });
const signalling = await startSignalling(log);
const plane = createMediaPlane(
  {
    rtpHost: '127.0.0.1',
    rtpPorts: [30_000, 30_999],
    webrtcHost: '127.0.0.1',
    webrtcPort: 0,
    mediaTimeoutMs: 60_000,
  },
  ({ level, fields, message }) => log[level](fields, message),
);
const { srf } = signalling;
const gatewayId = `bench-${process.pid}`;
const alone = await connectFreeswitch({ srf, ...freeswitchServer, gatewayId: `${gatewayId}-alone`, log });
const freeswitch = await startFreeswitch({
  srf,
  sipReachable: () => Promise.resolve(true),
  plane,
  servers: [freeswitchServer],
  gatewayId,
  fallbackToDirect: false,
  sipServers: new Map(),
  embedded: undefined,
  left: [],
  onChanged: () => undefined,
  log,
});
const phone = createSocket('udp4');
phone.bind(0, '127.0.0.1');
await once(phone, 'listening');
const offer = phoneOffer(phone.address().port);

async function freeswitchAlone(): Promise<number> {
  const startedAt = performance.now();
  const { answer, leg } = alone.phoneLeg(offer);
  await answer;
  const took = performance.now() - startedAt;
  await (await leg).hangUp();
  return took;
}

async function withGateway(index: number): Promise<number> {
  const deviceId = `call-${index}`;
  const startedAt = performance.now();
  const handle = freeswitch.media.open({ kind: 'phone', deviceId, sdpOffer: offer }, () => undefined);
  await handle.opened;
  const took = performance.now() - startedAt;
  await handle.close();
  return took;
}

const times = { alone: [] as number[], gateway: [] as number[] };
for (let index = 0; index < CALLS; index += 1) {
  times.alone.push(await freeswitchAlone());
  times.gateway.push(await withGateway(index));
}
const [own, ours] = [median(times.alone), median(times.gateway)];
console.log(
  `INVITE to 200, median of ${CALLS}: FreeSWITCH alone ${own.toFixed(1)} ms, bridged ${ours.toFixed(1)} ms`,
);
console.log(`ratio ${(ours / own).toFixed(2)}, difference ${(ours - own).toFixed(1)} ms`);

freeswitch.stop();
alone.close();
phone.close();
await plane.stop();
await signalling.stop();
process.exit();
