import { once } from 'node:events';
import Srf from 'drachtio-srf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usePhoneRoom } from '../support/phone-room.js';
import { freeTcpPort } from '../support/ports.js';
import { RequestHandler } from '../support/request-handler.js';
import { placeRefusedCall } from '../support/sipp.js';
import { Caller, SipPeer } from '../support/sip-peer.js';

const SECRET = 'open:sesame';
const APPS_PORT = await freeTcpPort();

describe('other drachtio-srf applications on the embedded SIP server', async () => {
  // The called user decides: it is the tag of the application that gets the call.
  const handler = await RequestHandler.start(({ uriUser, toUser }) => {
    if (uriUser === 'busy') return { action: 'reject', data: { status: 603, reason: 'Not Today' } };
    return {
      action: 'route',
      data: { tag: ['ivr', 'registrar'].find((tag) => tag === (uriUser || toUser)) ?? 'patchbay' },
    };
  });
  const room = usePhoneRoom({
    alone: true,
    env: { PATCHBAY_SIP_APPS: `127.0.0.1:${APPS_PORT}:${SECRET}`, PATCHBAY_SIP_ROUTER: handler.url },
  });
  const apps: Srf[] = [];
  /** Call records that the first application got. */
  const records: string[] = [];

  beforeAll(async () => {
    for (const tag of ['ivr', 'registrar']) {
      const srf = new Srf([tag]);
      for (const method of ['invite', 'register']) {
        srf.use(method, (_req, res) => res.send(480, { headers: { 'X-App': tag } }));
      }
      if (tag === 'ivr') {
        srf.on('cdr:attempt', (source) => records.push(`attempt ${source}`));
        srf.on('cdr:start', (source, _time, role) => records.push(`start ${source} ${role}`));
        srf.on('cdr:stop', (source, _time, reason) => records.push(`stop ${source} ${reason}`));
      }
      const connected = once(srf, 'connect');
      void srf.connect({ host: '127.0.0.1', port: APPS_PORT, secret: SECRET });
      await connected;
      apps.push(srf);
    }
  });
  afterAll(() => {
    for (const srf of apps) srf.disconnect();
    handler.close();
  });

  it('get the calls that the operator’s request handler routes to their tags, and the gateway the others', async () => {
    const at = `127.0.0.1:${room.gateway.sipPort}`;
    for (const tag of ['ivr', 'registrar']) {
      const refusal = await placeRefusedCall({
        sipPort: room.gateway.sipPort,
        invite: { uri: `sip:${tag}@${at}` },
      });
      expect(refusal.header('X-App')).toBe(tag);
    }
    const rejected = await placeRefusedCall({
      sipPort: room.gateway.sipPort,
      invite: { uri: `sip:busy@${at}` },
    });
    expect(rejected.startLine).toBe('SIP/2.0 603 Not Today');
    await room.withCall({}, async (call) => {
      expect((await call.final()).status).toBe(200);
      await call.hangUp();
    });
    expect(handler.asked.map(({ method, uriUser }) => `${method} ${uriUser}`)).toEqual([
      'INVITE ivr',
      'INVITE registrar',
      'INVITE busy',
      'INVITE ',
    ]);
  });

  it('get records of the gateway’s calls if they ask for them', async () => {
    records.length = 0;
    await room.withCall({}, async (call) => {
      await call.final();
      await call.hangUp();
    });
    await expect
      .poll(() => records)
      .toEqual(['attempt network', 'start application uas', 'stop network normal-release']);
  });

  it('get requests that the gateway does not serve itself', async () => {
    const phone = await SipPeer.udp({ host: '127.0.0.1', port: room.gateway.sipPort });
    const text = new Caller(phone).request('REGISTER', 1);
    phone.send(text.replace('sip:gateway@', 'sip:registrar@'));
    expect((await phone.final()).header('x-app')).toEqual(['registrar']);
    phone.close();
  });
});
