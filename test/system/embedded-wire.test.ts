import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { usePhoneRoom } from '../support/phone-room.js';
import { Caller, type HeardMessage, SDP, SipPeer } from '../support/sip-peer.js';
import type { Steps } from '../support/sipp.js';

const FRIEND = '127.0.0.1';
const STRANGER = '127.0.0.2';
const FLOODER = '127.0.0.3';
const PER_SECOND = 50;
/** Messages that one address may send in one burst. */
const BURST = 4 * PER_SECOND;

const SHORT: Record<string, string> = {
  Via: 'v',
  From: 'f',
  To: 't',
  'Call-ID': 'i',
  Contact: 'm',
  'Content-Type': 'c',
  'Content-Length': 'l',
};

/** The same message in a form that RFC 3261 also allows: compact names, blanks before colons, folded lines. */
function terse(text: string): string {
  return Object.entries(SHORT)
    .reduce((message, [long, short]) => message.replace(`\r\n${long}: `, `\r\n${short} :\r\n\t `), text)
    .replace('\r\nCSeq: ', '\r\ncSEQ:  ');
}

/** A 200 to a request. */
function answerTo({ header }: HeardMessage): string {
  const names = ['Via', 'From', 'To', 'Call-ID', 'CSeq'];
  const copied = names.flatMap((name) => header(name).map((value) => `${name}: ${value}`));
  return ['SIP/2.0 200 OK', ...copied, 'Content-Length: 0', '', ''].join('\r\n');
}

async function homer(): Promise<{ socket: Socket; captured: Buffer[] }> {
  const captured: Buffer[] = [];
  const socket = createSocket('udp4').on('message', (packet) => captured.push(packet));
  socket.bind(0, FRIEND);
  await once(socket, 'listening');
  return { socket, captured };
}

describe('a running gateway’s SIP port', async () => {
  const { socket, captured } = await homer();
  const room = usePhoneRoom({
    alone: true,
    env: {
      PATCHBAY_SIP_ALLOW: `${FRIEND},${FLOODER}`,
      PATCHBAY_SIP_RATE: String(PER_SECOND),
      PATCHBAY_HEP: `${FRIEND}:${socket.address().port}`,
    },
  });
  const peers: SipPeer[] = [];
  afterEach(() => {
    for (const peer of peers.splice(0)) peer.close();
  });
  afterAll(() => socket.close());

  const gatewayAt = () => ({ host: FRIEND, port: room.gateway.sipPort });

  async function udp(from = FRIEND): Promise<Caller> {
    const peer = await SipPeer.udp(gatewayAt(), from);
    peers.push(peer);
    return new Caller(peer, 'UDP', from);
  }

  async function tcp(): Promise<Caller> {
    const peer = await SipPeer.tcp(gatewayAt());
    peers.push(peer);
    return new Caller(peer, 'TCP');
  }

  async function counted(kind: string): Promise<number> {
    const metrics = await (await fetch(`${room.gateway.httpUrl}/metrics`)).text();
    return Number(
      new RegExp(`^patchbay_sip_messages_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(metrics)?.[1],
    );
  }

  /** Calls, acknowledges and hangs up, each message changed on its way. */
  async function callAndHangUp(
    caller: Caller,
    headers: string[],
    change: (text: string) => string,
  ): Promise<void> {
    caller.peer.send(change(caller.request('INVITE', 1, { body: SDP, headers })));
    const ok = await caller.peer.final();
    expect(ok.startLine).toBe('SIP/2.0 200 OK');
    caller.learn(ok);
    caller.peer.send(change(caller.request('ACK', 1)));
    caller.peer.send(change(caller.request('BYE', 2)));
    const bye = await caller.peer.next(({ header }) => header('cseq')[0] === '2 BYE');
    expect(bye.status).toBe(200);
  }

  it('takes a call in compact, folded, oddly spaced headers with several values, and an escaped URI', async () => {
    const { id, token } = await room.rest.member(room.session);
    const caller = await udp();
    const headers = [
      `User-to-User:\r\n ${token};encoding=jwt`,
      'k: timer\r\n , replaces',
      'SUPPORTED: 100rel',
      'x: 1800',
    ];
    const uri = 'INVITE sip:%2B1800%35550199@127.0.0.1 SIP/2.0';
    await callAndHangUp(caller, headers, (text) => terse(text).replace(/^INVITE .*/, uri));
    const { items } = (await room.rest.request('GET', '/usage?limit=1000')) as { items: object[] };
    expect(items).toContainEqual(expect.objectContaining({ participantId: id, called: '+18005550199' }));
  });

  it('takes a call in one large message that comes in pieces over TCP, after keep-alives', async () => {
    const { token } = await room.rest.member(room.session);
    const caller = await tcp();
    caller.peer.send('\r\n\r\n');
    expect((await caller.peer.next()).text).toBe('\r\n');
    const padding = Array.from({ length: 20 }, (_, i) => `X-Padding-${i}: ${'x'.repeat(1000)}`);
    const send = caller.peer.send.bind(caller.peer);
    await callAndHangUp(caller, [`User-to-User: ${token};encoding=jwt`, ...padding], (text) => {
      const half = Math.floor(text.length / 2);
      send(text.slice(0, half));
      return text.slice(half);
    });
    caller.toTag = '';
    caller.peer.send(caller.request('OPTIONS', 3));
    expect((await caller.peer.final()).startLine).toBe('SIP/2.0 200 OK');
  });

  it('answers to where a request came from, whatever its Via says (RFC 3581)', async () => {
    const { token } = await room.rest.member(room.session);
    const caller = await udp();
    const elsewhere = (text: string): string =>
      text.replace(/^Via: (\S+) [^;]+/m, 'Via: $1 192.0.2.1:5099;rport');
    await callAndHangUp(caller, [`User-to-User: ${token};encoding=jwt`], elsewhere);
    for (const { header } of caller.peer.heard) {
      expect(header('via').join()).toMatch(/192\.0\.2\.1:5099;/);
      expect(header('via').join()).toContain('received=127.0.0.1');
      expect(header('via').join()).toContain(`rport=${caller.peer.port}`);
    }
  });

  it('sends its BYE by way of loose and strict routers (RFC 3261 section 12.2.1.1)', async () => {
    for (const parameter of [';lr', '']) {
      const { id, token } = await room.rest.member(room.session);
      const caller = await udp();
      const router = `sip:127.0.0.1:${caller.peer.port}`;
      const headers = [`User-to-User: ${token};encoding=jwt`, `Record-Route: <${router}${parameter}>`];
      const invite = caller.request('INVITE', 1, { body: SDP, headers });
      const contact = /^Contact: <(.+)>/m.exec(invite)![1]!;
      caller.peer.send(invite);
      caller.learn(await caller.peer.final());
      caller.peer.send(caller.request('ACK', 1));
      await room.rest.deleteParticipant(id);
      const bye = await caller.peer.next(({ method }) => method === 'BYE');
      const isLoose = parameter !== '';
      expect(bye.startLine).toBe(`BYE ${isLoose ? contact : router} SIP/2.0`);
      expect(bye.header('route')).toEqual([`<${isLoose ? `${router};lr` : contact}>`]);
      caller.peer.send(answerTo(bye));
    }
  });

  it('repeats its 200 until the ACK, and no more after it (RFC 3261 section 13.3.1.4)', async () => {
    const then: Steps = (scenario) => scenario.expect(200).pause(700).ack().pause(1200).bye();
    await room.withCall({ then }, async (call) => {
      await call.ended();
      const seen = call.messages.map(({ direction, startLine, header }) =>
        [direction, startLine.split(' ', 2).join(' '), header('CSeq')].join(' '),
      );
      const ack = seen.findIndex((message) => message.startsWith('sent ACK'));
      const isOk = (message: string): boolean => message === 'received SIP/2.0 200 1 INVITE';
      // At once and after T1; the next would be due within the pause after the ACK.
      expect(seen.slice(0, ack).filter(isOk).length).toBeGreaterThanOrEqual(2);
      expect(seen.slice(ack).filter(isOk)).toEqual([]);
    });
  });

  it('answers a repeated BYE as before, and takes a repeated INVITE for no new call (RFC 6026)', async () => {
    const { token } = await room.rest.member(room.session);
    const caller = await udp();
    const branch = 'z9hG4bK-same';
    const invite = caller.request('INVITE', 1, { branch, body: SDP, headers: [`User-to-User: ${token}`] });
    caller.peer.send(invite);
    caller.learn(await caller.peer.final());
    caller.peer.send(caller.request('ACK', 1));
    const bye = caller.request('BYE', 2, { branch: 'z9hG4bK-bye' });
    caller.peer.send(bye);
    const first = await caller.peer.final();
    caller.peer.send(invite);
    caller.peer.send(bye);
    const second = await caller.peer.final();
    expect(second.text).toBe(first.text);
    expect(second.header('cseq')).toEqual(['2 BYE']);
  });

  it('is silent to strangers, scanners and junk, refuses a flood of an address that it knows, and counts them', async () => {
    const stranger = await udp(STRANGER);
    stranger.peer.send(stranger.request('OPTIONS', 1));
    const scanner = await udp();
    scanner.peer.send(scanner.request('OPTIONS', 1, { headers: ['User-Agent: friendly-scanner'] }));
    scanner.peer.send('hello?');
    const flooder = await udp(FLOODER);
    for (let i = 1; i <= 2 * BURST; i++) flooder.peer.send(flooder.request('OPTIONS', i));
    await expect.poll(() => counted('refusedOverRate')).toBeGreaterThan(BURST / 2);
    expect(await counted('droppedNotAllowed')).toBe(1);
    expect(await counted('droppedScanner')).toBe(1);
    expect(await counted('droppedUnreadable')).toBe(1);
    // Other addresses are served meanwhile.
    const other = await udp();
    other.peer.send(other.request('OPTIONS', 1));
    expect((await other.peer.final()).status).toBe(200);
    expect([...stranger.peer.heard, ...scanner.peer.heard]).toEqual([]);
    const answers = new Set(flooder.peer.heard.map(({ status }) => status));
    expect(answers).toEqual(new Set([200, 503]));
  });

  it('closes connections that send nothing, and the oldest of an address for one that sends something', async () => {
    const sockets = Array.from({ length: 300 }, () => connect(room.gateway.sipPort, FRIEND));
    const closed = sockets.map(async (socket) => {
      socket.on('error', () => undefined).resume();
      await once(socket, 'close');
    });
    // That is beyond the limit of an address.
    const caller = await tcp();
    caller.peer.send(caller.request('OPTIONS', 1));
    expect((await caller.peer.final()).status).toBe(200);
    await Promise.all(closed);
    expect(await counted('closedForRoom')).toBeGreaterThanOrEqual(45);
    expect(await counted('closedSilent')).toBeGreaterThan(200);
  });

  it('is captured for Homer, every message both ways, without a token', async () => {
    await expect.poll(() => captured.length).toBeGreaterThan(20);
    const texts = captured.map((packet) => packet.toString('latin1'));
    expect(texts.every((text) => text.startsWith('HEP3'))).toBe(true);
    expect(texts.some((text) => text.includes('INVITE sip:%2B1800%35550199'))).toBe(true);
    expect(texts.some((text) => text.includes('SIP/2.0 200 OK'))).toBe(true);
    expect(texts.some((text) => text.includes('eyJ'))).toBe(false);
  });
});
