import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { startOffice } from '../../test/fixtures/srf-apps/office.js';
import { Caller, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf } from '../../test/support/sip-server.js';

const README = readFileSync('src/sip-server/README.md', 'utf8');
const EXAMPLE = readFileSync('test/fixtures/srf-apps/office.ts', 'utf8');

let office: Awaited<ReturnType<typeof startOffice>> | undefined;
const peers: SipPeer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  await office?.stop();
});

describe('the example in the README', () => {
  it('is the program that is tested here', () => {
    const [code] = README.split('```ts\n').slice(1);
    expect(code?.split('```')[0]?.trimEnd()).toBe(
      EXAMPLE.replace('../../../src/sip-server/index.js', './index.js').trimEnd(),
    );
  });

  it('registers a phone and connects a call to it', async () => {
    office = await startOffice({
      listeners: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    });
    const at = addressOf(office.server, 'udp');
    const [phone, caller] = [await SipPeer.udp(at), await SipPeer.udp(at)];
    peers.push(phone, caller);

    // Once the application is connected and has asked for REGISTER, it is answered; 503 before.
    await expect
      .poll(async () => {
        const registering = new Caller(phone);
        phone.send(registering.request('REGISTER', 1).replaceAll('sip:gateway@', 'sip:bob@'));
        return (await phone.final()).status;
      })
      .toBe(200);

    const call = new Caller(caller);
    caller.send(call.request('INVITE', 1, { body: SDP }).replaceAll('sip:gateway@', 'sip:bob@'));
    const invite = await phone.next(({ method }) => method === 'INVITE');
    expect(invite.body).toBe(SDP);
    expect(invite.header('record-route')).toHaveLength(1);
    const echo = invite.text
      .split('\r\n')
      .filter((line) => /^(?:via|from|call-id|cseq|record-route):/i.test(line));
    phone.send(
      [
        'SIP/2.0 200 OK',
        ...echo,
        `To: ${invite.header('to')[0]!};tag=bob`,
        `Contact: <sip:bob@127.0.0.1:${phone.port}>`,
        'Content-Type: application/sdp',
        `Content-Length: ${SDP.length}`,
        '',
        SDP,
      ].join('\r\n'),
    );
    const answer = await caller.final();
    expect(answer.status).toBe(200);
    expect(answer.body).toBe(SDP);

    caller.send(
      new Caller(caller).request('INVITE', 1, { body: SDP }).replaceAll('sip:gateway@', 'sip:alice@'),
    );
    expect((await caller.final()).status).toBe(404);
  });
});
