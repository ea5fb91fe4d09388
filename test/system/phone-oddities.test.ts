import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { direct, usePhoneRoom } from '../support/phone-room.js';
import { Caller, type HeardMessage, SDP, SipPeer } from '../support/sip-peer.js';

// Real phones and carriers send these deviations, and calls must not fail for them. Sent byte for byte, over UDP.
describe('a call is answered though', () => {
  const room = usePhoneRoom({ alone: true });
  let peer: SipPeer;
  beforeAll(async () => {
    peer = await SipPeer.udp({ host: '127.0.0.1', port: room.gateway.sipPort });
  });
  afterAll(() => peer.close());

  /** Calls with a new participant's token, and hangs up when it is answered. */
  async function callWith(change: {
    readonly body?: string;
    readonly userToUser?: (token: string) => string;
    readonly edit?: (invite: string) => string;
    /** Headers of every request of the call. */
    readonly always?: string[];
  }): Promise<HeardMessage> {
    const { token } = await room.rest.member(room.session);
    const {
      body = SDP,
      userToUser = (text: string) => `${text};encoding=jwt`,
      edit = (text: string) => text,
      always = [],
    } = change;
    const caller = new Caller(peer);
    const headers = [`User-to-User: ${userToUser(token)}`, ...always];
    peer.send(edit(caller.request('INVITE', 1, { headers, body })));
    const answer = await peer.next(
      ({ status, header }) => status >= 200 && header('call-id')[0] === caller.callId,
    );
    if (answer.status >= 300) return answer;
    caller.learn(answer);
    peer.send(caller.request('ACK', 1, { headers: always }));
    peer.send(caller.request('BYE', 2, { headers: always }));
    await peer.next(({ status, header }) => status === 200 && header('cseq')[0] === '2 BYE');
    return answer;
  }

  direct.each([
    ['a number of ports (rtpengine #610, sipsorcery #1329)', SDP.replace('40000', '40000/2')],
    [
      'white space and small letters (nmos-cpp #44)',
      SDP.replace('m=audio 40000 RTP/AVP 0', 'm=audio  40000 rtp/avp  0 '),
    ],
    ['G722/16000 (diago #158, pjproject #486)', `${SDP.replace('AVP 0', 'AVP 9')}a=rtpmap:9 G722/16000\r\n`],
    ['a video line to a multicast address', `${SDP}m=video 5000 RTP/AVP 96\r\nc=IN IP4 224.1.1.1/127\r\n`],
    ['a video line of port 99999', `${SDP}m=video 99999 RTP/AVP 96\r\n`],
  ])('its offer has %s', async (_what, body) => {
    const answer = await callWith({ body });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatch(/^m=audio [1-9]\d* RTP\/AVP /im);
    if (body.includes('m=video')) expect(answer.body).toMatch(/^m=video 0 RTP\/AVP 96$/m);
  });

  it.each([
    [
      'a small letter in a part (FreeSWITCH #1816)',
      'multipart/mixed;boundary=BB',
      'Content-type: application/sdp',
    ],
    ['capitals', 'MULTIPART/MIXED; Boundary="BB"', 'CONTENT-TYPE: APPLICATION/SDP'],
    [
      'more parameters (siprec #6)',
      'multipart/related;boundary="BB";type="application/sdp"',
      'c: application/sdp',
    ],
  ])('its multipart body has %s', async (_what, type, header) => {
    const body = `--BB \r\nContent-Type: application/isup\r\n\r\nx\r\n--BB\r\n${header}\r\n\r\n${SDP}\r\n--BB--\r\n`;
    const edit = (text: string): string =>
      text.replace('Content-Type: application/sdp\r\n', `MIME-Version: 1.0\r\nContent-Type: ${type}\r\n`);
    const answer = await callWith({ body, edit });
    expect(answer.status).toBe(200);
    expect(answer.body).toContain('m=audio');
  });

  const hex = (text: string): string => Buffer.from(text).toString('hex');
  it.each([
    ['alone', (token: string) => hex(token)],
    [
      'of an ISDN gateway',
      (token: string) => `04${hex(token)};encoding=hex;purpose=isdn-uui;content=isdn-uui`,
    ],
    [
      'of Avaya',
      (token: string) => `00C8${hex(String.fromCharCode(Math.min(token.length, 127)))}${hex(token)}`,
    ],
  ])('its token is in hexadecimal digits %s, and is in no line of the log', async (_what, userToUser) => {
    let sent = '';
    const answer = await callWith({ userToUser: (token) => (sent = userToUser(token)) });
    expect(answer.status).toBe(200);
    expect(JSON.stringify(room.gateway.log)).not.toContain(sent.slice(0, 60));
  });

  // drachtio-server refuses them by its own list.
  it.skipIf(process.env['PATCHBAY_DRACHTIO'])(
    'it has the User-Agent of a scanner, since its token is valid',
    async () => {
      expect((await callWith({ always: ['User-Agent: sipcli/1.0'] })).status).toBe(200);
    },
  );

  it('its re-INVITE without an offer is acknowledged without an answer (drachtio-srf #107)', async () => {
    const { token, id } = await room.rest.member(room.session);
    const caller = new Caller(peer);
    const mine = (wanted: string) => (message: HeardMessage) =>
      message.header('call-id')[0] === caller.callId &&
      message.header('cseq')[0] === wanted &&
      message.status >= 200;
    peer.send(caller.request('INVITE', 1, { headers: [`User-to-User: ${token};encoding=jwt`], body: SDP }));
    caller.learn(await peer.next(mine('1 INVITE')));
    peer.send(caller.request('ACK', 1));
    peer.send(caller.request('INVITE', 2));
    expect((await peer.next(mine('2 INVITE'))).body).toContain('m=audio');
    peer.send(caller.request('ACK', 2));
    // An offer would get 491 while one of the gateway's is open.
    peer.send(caller.request('INVITE', 3, { body: SDP }));
    expect((await peer.next(mine('3 INVITE'))).status).toBe(200);
    peer.send(caller.request('ACK', 3));
    expect(await room.rest.request('GET', `/participants/${id}/device`)).toMatchObject({ kind: 'phone' });
    expect(
      peer.heard.some(({ method, header }) => method === 'BYE' && header('call-id')[0] === caller.callId),
    ).toBe(false);
    peer.send(caller.request('BYE', 4));
    expect((await peer.next(mine('4 BYE'))).status).toBe(200);
  });
});
