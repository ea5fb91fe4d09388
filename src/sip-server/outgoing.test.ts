import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SipServer } from './index.js';
import { isRequest, SDP, SipPeer, type HeardMessage } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../test/support/sip-server.js';

/** The part of drachtio-srf that its types leave out. */
interface FullDialog extends NodeJS.EventEmitter {
  destroy(): Promise<unknown>;
  modify(sdp: string): Promise<string>;
  request(opts: object): Promise<unknown>;
}

interface FullSrf {
  createUAC(uri: string, opts: object, callbacks?: object): Promise<FullDialog>;
  request(uri: string, opts: object): Promise<Srf.SrfRequest>;
}

let server: SipServer;
let srf: Srf;
let app: FullSrf;
let phone: SipPeer;

beforeEach(async () => {
  server = await testServer();
  srf = await connectApp(server, () => undefined);
  app = srf as unknown as FullSrf;
  phone = await SipPeer.udp(addressOf(server, 'udp'));
});

afterEach(async () => {
  phone.close();
  srf.disconnect();
  await server.stop();
});

function uri(): string {
  return `sip:phone@127.0.0.1:${phone.port}`;
}

/** Answers a request as a phone with a given tag would. */
function reply(
  request: HeardMessage,
  status: string,
  tag: string,
  extra: string[] = [],
  body = '',
  from = phone,
): void {
  const echo = ['via', 'from', 'call-id', 'cseq'].map((name) => `${name}: ${request.header(name)[0]!}`);
  const to = request.header('to')[0]!;
  from.send(
    [
      `SIP/2.0 ${status}`,
      ...echo,
      `To: ${to.includes('tag=') || tag === '' ? to : `${to};tag=${tag}`}`,
      ...extra,
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n'),
  );
}

function contact(): string[] {
  return [`Contact: <sip:phone@127.0.0.1:${phone.port}>`];
}

async function connected(): Promise<{ dialog: FullDialog; invite: HeardMessage }> {
  const dialog = app.createUAC(uri(), { localSdp: SDP });
  const invite = await phone.next(isRequest('INVITE'));
  reply(invite, '200 OK', 'p', contact(), SDP);
  await phone.next(isRequest('ACK'));
  return { dialog: await dialog, invite };
}

describe('an INVITE of an application', () => {
  it('is answered, acknowledged, and its ACK repeated with a repeated 2xx', async () => {
    const { invite } = await connected();
    reply(invite, '200 OK', 'p', contact(), SDP);
    const ack = await phone.next(isRequest('ACK'));
    expect(ack.header('cseq')[0]).toBe(invite.header('cseq')[0]?.replace('INVITE', 'ACK'));
  });

  it('has its Contact in brackets, with our address and transport in place of localhost', async () => {
    /** The Contact that a phone sees, by whatever way it is called. */
    const seenBy = async (
      callee: SipPeer | Promise<SipPeer>,
      target: string,
      contact: string,
    ): Promise<string | undefined> => {
      const headers = { Contact: contact };
      const failed = app.createUAC(target, { localSdp: SDP, headers }).catch((error: unknown) => error);
      const called = await callee;
      const invite = await called.next(isRequest('INVITE'));
      reply(invite, '486 Busy Here', 'p', [], '', called);
      await failed;
      return invite.header('contact')[0];
    };
    const { port } = addressOf(server, 'udp');
    const us = `127.0.0.1:${port}`;
    expect(await seenBy(phone, uri(), 'sip:ann@localhost')).toBe(`<sip:ann@${us}>`);
    expect(await seenBy(phone, uri(), 'sip:ann@localhost;q=0.5')).toBe(`<sip:ann@${us}>;q=0.5`);
    expect(await seenBy(phone, uri(), '"Ann" <sip:ann@localhost;x=y>')).toBe(`"Ann" <sip:ann@${us};x=y>`);
    expect(await seenBy(phone, uri(), 'sip:ann@192.0.2.1')).toBe('<sip:ann@192.0.2.1>');

    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const target = `sip:phone@127.0.0.1:${(listener.address() as AddressInfo).port};transport=tcp`;
    const accepted = once(listener, 'connection') as Promise<[Socket]>;
    const callee = accepted.then(([socket]) => SipPeer.stream(socket));
    expect(await seenBy(callee, target, 'sip:ann@localhost')).toBe(`<sip:ann@${us};transport=tcp>`);
    (await callee).close();
    listener.close();
  });

  it('is ended by the phone', async () => {
    const { dialog, invite } = await connected();
    const gone = once(dialog, 'destroy');
    phone.send(
      [
        `BYE sip:gateway@127.0.0.1 SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${phone.port};branch=z9hG4bK-bye;rport`,
        `From: ${invite.header('to')[0]!};tag=p`,
        `To: ${invite.header('from')[0]!}`,
        `Call-ID: ${invite.header('call-id')[0]!}`,
        'CSeq: 1 BYE',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    expect((await phone.final()).status).toBe(200);
    await gone;
  });

  it('fails with the phone’s status', async () => {
    const dialog = app.createUAC(uri(), { localSdp: SDP }).catch((error: unknown) => error);
    reply(await phone.next(isRequest('INVITE')), '486 Busy Here', 'p');
    expect(await dialog).toMatchObject({ status: 486 });
    await phone.next(isRequest('ACK'));
  });

  it('is cancelled only after a provisional response', async () => {
    const sent: Srf.SrfRequest[] = [];
    const outcome = app
      .createUAC(
        uri(),
        { localSdp: SDP },
        { cbRequest: (_err: unknown, req: Srf.SrfRequest) => void sent.push(req) },
      )
      .catch((error: unknown) => error);
    const invite = await phone.next(isRequest('INVITE'));
    await expect.poll(() => sent).toHaveLength(1);
    const cancelled = new Promise((resolve) => sent[0]!.cancel(resolve));
    await cancelled;
    expect(phone.heard.some(isRequest('CANCEL'))).toBe(false);
    reply(invite, '180 Ringing', 'p');
    const cancel = await phone.next(isRequest('CANCEL'));
    expect(cancel.header('via')).toEqual(invite.header('via'));
    reply(cancel, '200 OK', 'p');
    reply(invite, '487 Request Terminated', 'p');
    expect(await outcome).toMatchObject({ status: 487 });
  });

  it('hangs up the second phone when two branches of a fork answer', async () => {
    const { invite } = await connected();
    reply(invite, '200 OK', 'other', contact(), SDP);
    const bye = await phone.next(isRequest('BYE'));
    expect(bye.header('to')[0]).toContain('tag=other');
    expect(phone.heard.filter(isRequest('ACK')).at(-1)?.header('to')[0]).toContain('tag=other');
    reply(bye, '200 OK', 'other');
    await expect.poll(() => server.counters().dialogs).toBe(1);
  });

  it('acknowledges a reliable provisional response by PRACK', async () => {
    const dialog = app.createUAC(uri(), { localSdp: SDP, headers: { Supported: '100rel' } });
    const invite = await phone.next(isRequest('INVITE'));
    const reliable = [...contact(), 'Require: 100rel', 'RSeq: 9'];
    reply(invite, '183 Session Progress', 'p', reliable, SDP);
    const prack = await phone.next(isRequest('PRACK'));
    expect(prack.header('rack')).toEqual([`9 ${invite.header('cseq')[0]!}`]);
    // Repeated, as a lossy network would have it: no second PRACK.
    reply(invite, '183 Session Progress', 'p', reliable, SDP);
    reply(prack, '200 OK', 'p');
    reply(invite, '200 OK', 'p', contact(), SDP);
    await phone.next(isRequest('ACK'));
    await dialog;
    expect(phone.heard.filter(isRequest('PRACK'))).toHaveLength(1);
  });

  it('answers a digest challenge with a new transaction', async () => {
    const dialog = app.createUAC(uri(), { localSdp: SDP, auth: { username: 'u', password: 'p' } });
    const first = await phone.next(isRequest('INVITE'));
    reply(first, '407 Proxy Authentication Required', 'p', [
      'Proxy-Authenticate: Digest realm="r", nonce="n", algorithm=MD5',
    ]);
    const second = await phone.next(isRequest('INVITE'));
    expect(second.header('proxy-authorization')[0]).toContain('username="u"');
    expect(second.header('call-id')).toEqual(first.header('call-id'));
    expect(second.header('from')).toEqual(first.header('from'));
    expect(Number.parseInt(second.header('cseq')[0]!)).toBe(Number.parseInt(first.header('cseq')[0]!) + 1);
    reply(second, '200 OK', 'p', contact(), SDP);
    await dialog;
  });

  it('follows the route that proxies recorded, last hop first', async () => {
    const dialog = app.createUAC(uri(), { localSdp: SDP });
    const invite = await phone.next(isRequest('INVITE'));
    const proxy = `sip:127.0.0.1:${phone.port};lr`;
    reply(
      invite,
      '200 OK',
      'p',
      [
        'Record-Route: <sip:far.example.com;lr>',
        `Record-Route: <${proxy}>`,
        'Contact: <sip:phone@192.0.2.9>',
      ],
      SDP,
    );
    const ack = await phone.next(isRequest('ACK'));
    expect(ack.startLine).toBe('ACK sip:phone@192.0.2.9 SIP/2.0');
    expect(ack.header('route')).toEqual([`<${proxy}>`, '<sip:far.example.com;lr>']);
    void (await dialog).destroy();
    const bye = await phone.next(isRequest('BYE'));
    expect(bye.header('route')).toEqual([`<${proxy}>`, '<sip:far.example.com;lr>']);
  });

  it('puts a strict router into the Request-URI', async () => {
    const dialog = app.createUAC(uri(), { localSdp: SDP });
    const invite = await phone.next(isRequest('INVITE'));
    const proxy = `sip:127.0.0.1:${phone.port}`;
    reply(invite, '200 OK', 'p', [`Record-Route: <${proxy}>`, 'Contact: <sip:phone@192.0.2.9>'], SDP);
    const ack = await phone.next(isRequest('ACK'));
    expect(ack.startLine).toBe(`ACK ${proxy} SIP/2.0`);
    expect(ack.header('route')).toEqual(['<sip:phone@192.0.2.9>']);
    await dialog;
  });
});

describe('requests in a dialog', () => {
  it('carry rising numbers, and re-INVITEs are acknowledged', async () => {
    const { dialog, invite } = await connected();
    const modified = dialog.modify(SDP);
    const again = await phone.next(isRequest('INVITE'));
    expect(Number.parseInt(again.header('cseq')[0]!)).toBe(Number.parseInt(invite.header('cseq')[0]!) + 1);
    reply(again, '200 OK', 'p', contact(), SDP);
    expect((await phone.next(isRequest('ACK'))).header('cseq')[0]).toBe(
      again.header('cseq')[0]?.replace('INVITE', 'ACK'),
    );
    expect(await modified).toBe(SDP);
  });

  it('are sent again with credentials when challenged', async () => {
    const auth = { username: 'foo', password: 'bar' };
    const pending = app.createUAC(uri(), { localSdp: SDP, auth });
    reply(await phone.next(isRequest('INVITE')), '200 OK', 'p', contact(), SDP);
    await phone.next(isRequest('ACK'));
    const dialog = await pending;
    const modified = dialog.modify(SDP);
    const challenged = await phone.next(isRequest('INVITE'));
    reply(challenged, '407 Proxy Authentication Required', 'p', [
      'Proxy-Authenticate: Digest realm="r", nonce="n"',
    ]);
    await phone.next(isRequest('ACK'));
    const again = await phone.next(isRequest('INVITE'));
    expect(again.header('proxy-authorization')[0]).toContain('username="foo"');
    expect(Number.parseInt(again.header('cseq')[0]!, 10)).toBeGreaterThan(
      Number.parseInt(challenged.header('cseq')[0]!, 10),
    );
    reply(again, '200 OK', 'p', contact(), SDP);
    await phone.next(isRequest('ACK'));
    await modified;
  });

  it('fail with the reason that drachtio-srf knows once the dialog is gone', async () => {
    const { dialog } = await connected();
    const ended = dialog.destroy();
    reply(await phone.next(isRequest('BYE')), '200 OK', 'p');
    await ended;
    const late = (dialog as unknown as { request(opts: object): Promise<unknown> }).request({
      method: 'INFO',
    });
    await expect(late).rejects.toMatchObject({ code: 'ENODIALOG' });
  });
});

describe('a subscription', () => {
  it('ends with its last NOTIFY', async () => {
    const dialog = app.createUAC(uri(), {
      method: 'SUBSCRIBE',
      headers: { Event: 'presence', To: `<${uri()}>` },
    });
    const subscribe = await phone.next(isRequest('SUBSCRIBE'));
    reply(subscribe, '200 OK', 'p', [...contact(), 'Expires: 60']);
    await dialog;
    expect(server.counters().dialogs).toBe(1);
    phone.send(
      [
        'NOTIFY sip:gateway@127.0.0.1 SIP/2.0',
        `Via: SIP/2.0/UDP 127.0.0.1:${phone.port};branch=z9hG4bK-notify;rport`,
        `From: ${subscribe.header('to')[0]!};tag=p`,
        `To: ${subscribe.header('from')[0]!}`,
        `Call-ID: ${subscribe.header('call-id')[0]!}`,
        'CSeq: 1 NOTIFY',
        'Event: presence',
        'Subscription-State: terminated;reason=timeout',
        ...contact(),
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    expect((await phone.final()).status).toBe(200);
    await expect.poll(() => server.counters().dialogs).toBe(0);
  });
});

describe('a request outside dialogs', () => {
  it('brings its answer back', async () => {
    const request = await app.request(uri(), { method: 'OPTIONS' });
    const answered = once(request as unknown as NodeJS.EventEmitter, 'response');
    reply(await phone.next(isRequest('OPTIONS')), '200 OK', 'p');
    expect(((await answered) as [Srf.SrfResponse])[0].status).toBe(200);
  });

  it('goes over TCP when it is too long for UDP', async () => {
    const sent = app.request(`sip:127.0.0.1:${addressOf(server, 'tcp').port}`, {
      method: 'MESSAGE',
      headers: { 'Content-Type': 'text/plain' },
      body: 'x'.repeat(1300),
    });
    const request = await sent;
    // Its own server takes it: what matters is the transport that it chose.
    expect(request.protocol).toBe('tcp');
  });

  it('is refused with a reason when it has nowhere to go', async () => {
    await expect(app.request('sip:someone@127.0.0.1;transport=tls', { method: 'OPTIONS' })).rejects.toThrow(
      'requested protocol/transport not available',
    );
  });
});
