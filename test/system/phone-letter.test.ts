import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { embedded, isEmbedded, usePhoneRoom } from '../support/phone-room.js';
import { Caller, hear, type HeardMessage, SDP, SipPeer } from '../support/sip-peer.js';

const PINO_ERROR = 50;

describe('what a phone sends', () => {
  vi.setConfig({ testTimeout: 20_000 });
  const room = usePhoneRoom({ alone: true });
  const address = (): { host: string; port: number } => ({ host: '127.0.0.1', port: room.gateway.sipPort });
  let peer: SipPeer;
  let caller: Caller;
  let participant: { id: string; token: string };
  beforeAll(async () => {
    peer = await SipPeer.udp(address());
  });
  afterAll(() => {
    peer.close();
    const errors = room.gateway.log.filter(({ level }) => (level ?? 0) >= PINO_ERROR);
    expect(errors).toEqual([]);
  });
  beforeEach(async () => {
    caller = new Caller(peer);
    participant = await room.rest.member(await room.rest.session());
  });

  const mine =
    (of: Caller, cseq = '') =>
    ({ status, header }: HeardMessage): boolean =>
      status >= 200 && header('call-id')[0] === of.callId && (header('cseq')[0] ?? '').startsWith(cseq);
  const invite = (of: Caller, headers: string[] = [], body = SDP): string =>
    of.request('INVITE', 1, {
      headers: [`User-to-User: ${participant.token};encoding=jwt`, ...headers],
      body,
    });
  /** Calls, with a token unless the INVITE has one, and acknowledges the answer. @returns the answer */
  const call = async (text = invite(caller), of = caller): Promise<HeardMessage> => {
    of.peer.send(text);
    const answer = await of.peer.next(mine(of, '1 INVITE'));
    of.learn(answer);
    of.peer.send(of.request('ACK', 1));
    return answer;
  };
  const ask = async (method: string, cseq: number, headers: string[] = []): Promise<HeardMessage> => {
    peer.send(caller.request(method, cseq, { headers }));
    return peer.next(mine(caller, `${String(cseq)} ${method}`));
  };
  const bye = async (of = caller): Promise<HeardMessage> => {
    const request = await of.peer.next((m) => m.method === 'BYE' && m.header('call-id')[0] === of.callId);
    const copied = ['Via', 'From', 'To', 'Call-ID', 'CSeq'].map(
      (name) => `${name}: ${request.header(name)[0]!}`,
    );
    of.peer.send(['SIP/2.0 200 OK', ...copied, 'Content-Length: 0', '', ''].join('\r\n'));
    return request;
  };
  const refusalInLog = (status: number): Promise<object> =>
    room.gateway.waitForLog(({ level, callId, ...line }) => {
      return level === 40 && callId === caller.callId && line['status'] === status && !('err' in line);
    });

  // The others crash drachtio-server 0.9.10.
  it.each(['<http://example.org>', ...(isEmbedded ? ['<tel:+15555550100>', '*'] : [])])(
    'is refused with 400 before it is answered when its Contact is %s, and is a warning',
    async (contact) => {
      const text = invite(caller).replace(/^Contact: .*$/m, `Contact: ${contact}`);
      expect((await call(text)).status).toBe(400);
    },
  );

  it('is answered with 501 for an unknown method, 481 for a PRACK and 405 for REGISTER within a call', async () => {
    await call();
    expect((await ask('TELEPORT', 2)).status).toBe(501);
    await refusalInLog(501);
    expect((await ask('PRACK', 3, ['RAck: 1 1 INVITE'])).status).toBe(481);
    expect((await ask('REGISTER', 4)).status).toBe(405);
    expect((await ask('BYE', 5)).status).toBe(200);
  });

  embedded('is 481 for a PRACK outside of calls', async () => {
    expect((await ask('PRACK', 1, ['RAck: 1 1 INVITE'])).status).toBe(481);
  });

  it('is answered with 420 if an OPTIONS requires an unknown extension, outside of a call and within (RFC 4475 3.3.5)', async () => {
    const outside = await ask('OPTIONS', 1, ['Require: nothingSupportsThis, timer']);
    expect([outside.status, ...outside.header('unsupported')]).toEqual([420, 'nothingsupportsthis']);
    caller = new Caller(peer);
    await call();
    expect((await ask('OPTIONS', 2, ['Require: nothingSupportsThis'])).status).toBe(420);
    expect((await ask('INFO', 3, ['Require: nothingSupportsThis'])).status).toBe(420);
    expect((await ask('OPTIONS', 4)).status).toBe(200);
    expect((await ask('BYE', 5)).status).toBe(200);
  });

  it.each([
    ['text/plain', 406],
    ['', 406],
    ['application/sdp;q=0, text/plain', 406],
    ['text/plain, Application/SDP;level=1', 200],
    ['application/*', 200],
    ['*/*', 200],
  ])('that accepts “%s” is answered with %i', async (accept, status) => {
    const answer = await call(invite(caller, [`Accept: ${accept}`]));
    expect(answer.status).toBe(status);
    if (status === 200) expect((await ask('BYE', 2)).status).toBe(200);
    else expect(answer.header('accept')).toEqual(['application/sdp']);
  });

  it.skipIf((process.env['PATCHBAY_FREESWITCH'] ?? '') !== '')(
    'is refused with Warning 302 when its transport is not spoken',
    async () => {
      const answer = await call(invite(caller, [], SDP.replace('RTP/AVP', 'UDP/TLS/RTP/SAVPF')));
      expect([answer.status, answer.header('warning')[0]?.slice(0, 3)]).toEqual([488, '302']);
    },
  );

  const names = [
    'AT&T <sip:+15555550100@127.0.0.1>',
    'Bell, Alexander <sip:+15555550100@127.0.0.1>',
    '+1 (555) 555-0100 <sip:1001@127.0.0.1>',
    'Room 3/4: lobby <sip:1001@127.0.0.1>',
    'john@corp.example <sip:1001@127.0.0.1>',
    '=?UTF-8?B?Wm/Dqw==?= <sip:1001@127.0.0.1>',
    '"Sami\\" <sip:+15555550100@127.0.0.1>',
    '"Anonymous" sip:anonymous@x',
    '<sip:john@corp.example@127.0.0.1>',
  ];
  embedded.each(names)('is answered though its From is %s (OpenSIPS #1290, ersip #26)', async (from) => {
    const answer = await call(invite(caller).replace(/^From: .*<.*?>/m, `From: ${from}`));
    expect(answer.status).toBe(200);
    const device = await room.rest.device(participant.id);
    expect(device).toMatchObject({ caller: /sip:(.*)@/.exec(from)![1] });
    if (from.startsWith('Bell')) expect(device).toMatchObject({ callerName: 'Bell, Alexander' });
    await room.rest.disconnectDevice(participant.id);
    expect((await bye()).header('to')[0]).toMatch(/^("([^"\\]|\\.)*" )?<[^<>\s"]+>;tag=/);
  });

  embedded.each([
    ['<sip:Meeting Room@127.0.0.1:PORT>', 'sip:Meeting%20Room@127.0.0.1:PORT'],
    ['Bell, Alexander <sip:ann@127.0.0.1:PORT>', 'sip:ann@127.0.0.1:PORT'],
    ['<sip:ann@corp@127.0.0.1:PORT>', 'sip:ann%40corp@127.0.0.1:PORT'],
    // This host cannot be reached: the BYE goes to where the INVITE came from.
    ['<sips:ann@127.0.0.1:PORT>', 'sips:ann@127.0.0.1:PORT'],
  ])('is hung up on though its Contact is %s (jssip/sip.js #100)', async (contact, target) => {
    const at = (text: string): string => text.replace('PORT', String(peer.port));
    await call(invite(caller).replace(/^Contact: .*$/m, `Contact: ${at(contact)}`));
    await room.rest.disconnectDevice(participant.id);
    expect((await bye()).startLine).toBe(`BYE ${at(target)} SIP/2.0`);
  });

  const odd: readonly [string, (text: string) => string][] = [
    ['an Expires that is a date', (text) => add(text, 'Expires: Thu, 01 Dec 1994 16:00:00 GMT')],
    ['Max-Forwards over 255', (text) => text.replace('Max-Forwards: 70', 'Max-Forwards: 300')],
    ['Content-Type twice', (text) => add(text, 'Content-Type: application/sdp')],
    ['Session-Expires twice', (text) => add(text, 'Session-Expires: 300\r\nSession-Expires: 300')],
    ['a header line without a colon', (text) => add(text, 'Nonsense')],
    ['line breaks before it', (text) => `\r\n\r\n${text}`],
    ['a line feed before it', (text) => `\n${text}`],
    [
      'line feeds for line breaks',
      (text) => text.replace(/^[\s\S]*?\r\n\r\n/, (head) => head.replaceAll('\r\n', '\n')),
    ],
  ];
  const add = (text: string, line: string): string => text.replace('Max-Forwards', `${line}\r\nMax-Forwards`);
  embedded.each(odd)('is answered over UDP and TCP though it has %s', async (_what, change) => {
    expect((await call(change(invite(caller)))).status).toBe(200);
    expect((await ask('BYE', 2)).status).toBe(200);
    const stream = await SipPeer.tcp(address());
    try {
      const other = new Caller(stream, 'TCP');
      expect((await call(change(invite(other)), other)).status).toBe(200);
      stream.send(other.request('BYE', 2));
      expect((await stream.next(mine(other, '2 BYE'))).status).toBe(200);
    } finally {
      stream.close();
    }
  });

  embedded('is answered on a connection of which it has closed its half', async () => {
    const socket = connect({ ...address(), allowHalfOpen: true });
    await once(socket, 'connect');
    const stream = SipPeer.stream(socket);
    const other = new Caller(stream, 'TCP');
    const closed = once(socket, 'end');
    socket.end(other.request('OPTIONS', 1));
    expect((await stream.next(mine(other))).status).toBe(200);
    // There is nothing more to say.
    await closed;
    socket.destroy();
  });

  describe('as INVITE with Replaces (RFC 3891)', () => {
    const replaces = (of: Caller, more = ''): string =>
      `Replaces: ${of.callId};to-tag=${of.toTag};from-tag=${of.fromTag}${more}`;
    const without = (of: Caller, headers: string[]): string =>
      of.request('INVITE', 1, { headers, body: SDP });

    it.each([
      ['by a token of the same participant', true],
      ['by its tags, from where the first call came (siphon-sip PR 223)', false],
    ])('takes the place of a call %s', async (_how, byToken) => {
      await call();
      const second = new Caller(peer);
      const headers = [replaces(caller), 'Require: replaces'];
      const text = byToken ? invite(second, headers) : without(second, headers);
      expect((await call(text, second)).status).toBe(200);
      expect((await bye()).header('reason')[0]).toContain('took the place');
      expect(await room.rest.device(participant.id)).toMatchObject({ externalId: second.callId });
      // The first call has ended, so there is nothing left to replace.
      const third = new Caller(peer);
      expect((await call(without(third, [replaces(caller)]), third)).status).toBe(603);
      await room.rest.disconnectDevice(participant.id);
      await bye(second);
    });

    it('is refused, and the call stays, where it may not be replaced', async () => {
      await call();
      const other = await room.rest.member(await room.rest.session());
      const refused = async (headers: string[], body = SDP): Promise<number> => {
        const second = new Caller(peer);
        return (await call(second.request('INVITE', 1, { headers, body }), second)).status;
      };
      expect(await refused([replaces(caller, ';early-only')])).toBe(486);
      expect(await refused([`Replaces: ${caller.callId};to-tag=x;from-tag=${caller.fromTag}`])).toBe(481);
      expect(await refused([`Replaces: ${caller.callId};to-tag=x`])).toBe(400);
      expect(await refused([replaces(caller), replaces(caller)])).toBe(400);
      expect(await refused([replaces(caller), `User-to-User: ${other.token};encoding=jwt`])).toBe(403);
      expect(await refused([replaces(caller)], SDP.replace('AVP 0', 'AVP 18'))).toBe(488);
      expect((await ask('OPTIONS', 2)).status).toBe(200);
      expect((await ask('INFO', 3, [replaces(caller)])).status).toBe(400);
      expect((await ask('BYE', 4)).status).toBe(200);
    });
  });

  describe('by a connection that is lost before its answer (OpenSIPS #3415)', () => {
    /** Calls over a connection, and closes it when the participant is connected. */
    const lose = async (headers: string[] = [], isReset = true): Promise<string> => {
      const socket = connect(address());
      await once(socket, 'connect');
      const first = SipPeer.stream(socket);
      const lost = new Caller(first, 'TCP');
      // Nobody listens there.
      const text = invite(lost, headers).replace(/^(Via: .*:)\d+/m, '$19');
      first.send(text);
      await first.next(({ status }) => status > 100);
      if (isReset) socket.resetAndDestroy();
      else afterTest.push(() => socket.destroy());
      return text;
    };
    const afterTest: (() => void)[] = [];
    let stream: SipPeer;
    beforeEach(async () => {
      stream = await SipPeer.tcp(address());
      return () => {
        stream.close();
        for (const undo of afterTest.splice(0)) undo();
      };
    });

    it.each([
      ['though its own was answered', [], true],
      // drachtio-server crashes when no PRACK comes within 32 s.
      ...(isEmbedded ? ([['though its own waits for a PRACK', ['Require: 100rel'], true]] as const) : []),
      ['though nobody knows of the loss', [], false],
    ] as const)('gives way to a new call (pjproject PR 2434), %s', async (_what, headers, isReset) => {
      await lose([...headers], isReset);
      const again = new Caller(stream, 'TCP');
      expect((await call(invite(again), again)).body).toContain('m=audio');
      expect(await room.rest.device(participant.id)).toMatchObject({ externalId: again.callId });
      stream.send(again.request('BYE', 2));
      expect((await stream.next(mine(again, '2 BYE'))).status).toBe(200);
    });

    embedded.each([
      ['it is repeated there', true],
      ['it is repeated there before the loss is known', false],
    ] as const)('is answered on the next when %s', async (_what, isReset) => {
      const text = await lose([], isReset);
      stream.send(text);
      const answer = await stream.next(({ status }) => status >= 200);
      expect(answer.status).toBe(200);
      const ack = text
        .replace(/^INVITE/, 'ACK')
        .replace('1 INVITE', '1 ACK')
        .replace(/^To: .*$/m, `To: ${answer.header('to')[0]!}`)
        .replace('branch=', 'branch=z9hG4bK-ack')
        .replace(/Content-Type[\s\S]*$/, 'Content-Length: 0\r\n\r\n');
      stream.send(ack);
      await room.rest.disconnectDevice(participant.id);
      const goodbye = await stream.next(({ method }) => method === 'BYE');
      expect(goodbye.header('call-id')).toEqual(hear(text).header('call-id'));
    });
  });
});
