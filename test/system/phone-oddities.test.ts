import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { direct, usePhoneRoom } from '../support/phone-room.js';
import { Caller, type HeardMessage, SDP, SipPeer } from '../support/sip-peer.js';

// What real phones and carriers send that is odd, and no reason to lose a call. Said byte for byte, over UDP.
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
  }): Promise<HeardMessage> {
    const { token } = await room.rest.member(room.session);
    const { body = SDP, userToUser = (text) => `${text};encoding=jwt`, edit = (text) => text } = change;
    const caller = new Caller(peer);
    const headers = [`User-to-User: ${userToUser(token)}`];
    peer.send(edit(caller.request('INVITE', 1, { headers, body })));
    const answer = await peer.next(
      ({ status, header }) => status >= 200 && header('call-id')[0] === caller.callId,
    );
    if (answer.status >= 300) return answer;
    caller.learn(answer);
    peer.send(caller.request('ACK', 1));
    peer.send(caller.request('BYE', 2));
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
});
