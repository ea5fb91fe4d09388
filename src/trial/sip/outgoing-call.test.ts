import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HeardMessage, hear } from '../../../test/support/sip-peer.js';
import { FakeClock } from '../../shared/testing/index.js';
import { type FinalAnswer, OutgoingCall, SipSocket } from './index.js';

/** A SIP server that answers only what a test says. */
class Server {
  readonly heard: HeardMessage[] = [];
  readonly #socket: Socket = createSocket('udp4');
  #caller = 0;

  async open(): Promise<number> {
    this.#socket.on('message', (bytes, { port }) => {
      this.#caller = port;
      this.heard.push(hear(bytes.toString()));
    });
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return this.#socket.address().port;
  }

  async next(method: string, count = 1): Promise<HeardMessage> {
    const found = (): HeardMessage[] => this.heard.filter((message) => message.method === method);
    await expect.poll(() => found().length).toBeGreaterThanOrEqual(count);
    return found().at(-1)!;
  }

  response(request: HeardMessage, status: number, headers: readonly string[] = [], body = ''): void {
    const to = request.header('to')[0]!;
    this.send([
      `SIP/2.0 ${status} Whatever`,
      `Via: ${request.header('via')[0]!}`,
      `From: ${request.header('from')[0]!}`,
      `To: ${to.includes(';tag=') ? to : `${to};tag=server`}`,
      `Call-ID: ${request.header('call-id')[0]!}`,
      `CSeq: ${request.header('cseq')[0]!}`,
      ...headers,
      `Content-Length: ${body.length}`,
      '',
      body,
    ]);
  }

  /** A request in the dialog that the INVITE made. */
  request(method: string, invite: HeardMessage, headers: readonly string[] = [], body = ''): void {
    this.send([
      `${method} sip:test-caller@127.0.0.1 SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK${method}`,
      `From: ${invite.header('to')[0]!};tag=server`,
      `To: ${invite.header('from')[0]!}`,
      `Call-ID: ${invite.header('call-id')[0]!}`,
      `CSeq: 7 ${method}`,
      ...headers,
      `Content-Length: ${body.length}`,
      '',
      body,
    ]);
  }

  send(lines: readonly string[]): void {
    this.#socket.send(lines.join('\r\n'), this.#caller, '127.0.0.1');
  }

  close(): void {
    this.#socket.close();
  }
}

let server: Server;
let clock: FakeClock;
let socket: SipSocket;
let call: OutgoingCall;
let events: unknown[];
beforeEach(async () => {
  server = new Server();
  clock = new FakeClock();
  events = [];
  socket = await SipSocket.open({ transport: 'udp', host: '127.0.0.1', port: await server.open() });
  call = new OutgoingCall({
    socket,
    callId: 'the-call',
    requestUri: 'sip:127.0.0.1:5060',
    from: '+1 (555) 0100',
    displayName: 'Jo "quoted"\r\nX: y',
    userToUser: 'token;encoding=jwt',
    userAgent: 'test',
    clock,
    handlers: {
      onRinging: (status) => events.push(['ringing', status]),
      onAnswered: (status, sdp) => events.push(['answered', status, sdp]),
      onRefused: (answer: FinalAnswer) => events.push(['refused', answer]),
      onHungUp: (reason) => events.push(['hungUp', reason]),
      describe: () => 'v=ours',
    },
  });
  call.invite('v=offer');
});
afterEach(() => {
  socket.close();
  server.close();
});

const seen = (what: unknown): Promise<void> => expect.poll(() => events).toContainEqual(what);

describe('an outgoing call', () => {
  it('is placed with the token, and with header values that break nothing', async () => {
    const invite = await server.next('INVITE');
    expect(invite.header('user-to-user')).toEqual(['token;encoding=jwt']);
    expect(invite.header('from')[0]).toMatch(/^"Jo quotedX: y" <sip:\+15550100@127\.0\.0\.1:\d+>;tag=/);
    expect(invite.header('x')).toEqual([]);
    expect(invite.body).toBe('v=offer');
  });

  it('goes to the remote target by the route set, acknowledges each 2xx, and ends by BYE', async () => {
    const invite = await server.next('INVITE');
    const ok = [
      'Contact: <sip:app@192.0.2.1:5070>',
      'Record-Route: <sip:second;lr>',
      'Record-Route: <sip:first;lr>',
    ];
    server.response(invite, 180);
    server.response(invite, 200, ok, 'v=answer');
    await seen(['answered', 200, 'v=answer']);
    server.response(invite, 200, ok, 'v=answer');
    const ack = await server.next('ACK', 2);
    expect(ack.startLine).toBe('ACK sip:app@192.0.2.1:5070 SIP/2.0');
    expect(ack.header('route')).toEqual(['<sip:first;lr>', '<sip:second;lr>']);
    expect(ack.header('cseq')).toEqual(['1 ACK']);
    call.hangUp();
    const bye = await server.next('BYE');
    expect(bye.header('to')[0]).toContain(';tag=server');
    expect(bye.header('cseq')).toEqual(['2 BYE']);
    clock.advance(500);
    await server.next('BYE', 2);
    server.response(bye, 200);
    await call.ended();
    expect(clock.pending).toBe(0);
    expect(events).toEqual([
      ['ringing', 180],
      ['answered', 200, 'v=answer'],
    ]);
  });

  it('is refused with the reason in words, and acknowledges that in the transaction', async () => {
    const invite = await server.next('INVITE');
    server.response(invite, 486, ['Reason: SIP;cause=486;text="It is \\"busy\\"."']);
    await seen(['refused', { status: 486, reason: 'It is "busy".' }]);
    const ack = await server.next('ACK');
    expect(ack.header('via')).toEqual(invite.header('via'));
    expect(clock.pending).toBe(0);
  });

  it('sends the INVITE again (timer A), and gives up after 32 s (timer B)', async () => {
    await server.next('INVITE');
    clock.advance(500);
    await server.next('INVITE', 2);
    clock.advance(1000);
    await server.next('INVITE', 3);
    clock.advance(31_000);
    await seen(['refused', { status: 408, reason: 'No answer came within 32 s.', isLocal: true }]);
    await call.ended();
    expect(clock.pending).toBe(0);
  });

  it('is cancelled, but not before a provisional response', async () => {
    const invite = await server.next('INVITE');
    call.hangUp();
    server.response(invite, 100);
    const cancel = await server.next('CANCEL');
    expect(cancel.header('via')).toEqual(invite.header('via'));
    expect(cancel.header('cseq')).toEqual(['1 CANCEL']);
    server.response(cancel, 200);
    server.response(invite, 487);
    await seen(['refused', { status: 487, reason: 'Whatever' }]);
    await call.ended();
  });

  it('that is answered while it is cancelled gets BYE', async () => {
    const invite = await server.next('INVITE');
    server.response(invite, 180);
    await seen(['ringing', 180]);
    call.hangUp();
    await server.next('CANCEL');
    server.response(invite, 200, ['Contact: <sip:app@127.0.0.1>']);
    server.response(await server.next('BYE'), 200);
    await call.ended();
    expect(clock.pending).toBe(0);
  });

  it('answers what comes in the call, and ends by the BYE of the other side', async () => {
    const invite = await server.next('INVITE');
    server.response(invite, 200, ['Contact: <sip:app@127.0.0.1>'], 'v=answer');
    await seen(['answered', 200, 'v=answer']);
    const responses = (): string[] =>
      server.heard
        .filter(({ status }) => status > 0)
        .map(({ status, header }) => `${status} ${header('cseq')[0]!}`);
    server.request('INVITE', invite, ['Content-Type: application/sdp'], 'v=again');
    await expect.poll(responses).toEqual(['200 7 INVITE']);
    expect(server.heard.at(-1)?.body).toBe('v=ours');
    server.request('OPTIONS', invite);
    server.request('MESSAGE', invite);
    server.request('BYE', invite, ['Reason: SIP;cause=200;text="The call was ended."']);
    await seen(['hungUp', 'The call was ended.']);
    await expect.poll(responses).toEqual(['200 7 INVITE', '200 7 OPTIONS', '405 7 MESSAGE', '200 7 BYE']);
    call.hangUp();
    expect(server.heard.some(({ method }) => method === 'BYE')).toBe(false);
  });
});
