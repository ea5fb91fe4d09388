import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SavedDialog, SipServer } from './index.js';
import { Caller, type HeardMessage, isRequest, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../test/support/sip-server.js';

type Request = Srf.SrfRequest & { stackDialogId: string };

let server: SipServer;
let srf: Srf | undefined;
let peer: SipPeer;
let caller: Caller;
/** What was known of each dialog, the newest last; as JSON, as it is kept. */
let kept: string[];
/** What was said and heard before the process died. */
let heardByApp: Request[];
const cleanups: (() => unknown)[] = [];

const onDialogChanged = (id: string): void => {
  const saved = server.savedDialog(id);
  if (saved) kept.push(JSON.stringify(saved));
};

beforeEach(async () => {
  kept = [];
  heardByApp = [];
  server = await testServer({ onDialogChanged });
  srf = await connectApp(server, answering, ['calls']);
  peer = await SipPeer.udp(addressOf(server, 'udp'));
  caller = new Caller(peer);
  cleanups.push(() => peer.close());
});

afterEach(async () => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0)) await cleanup();
  disconnect();
  await server.stop();
});

/** Accepts every call and every request. */
function answering(app: Srf): void {
  app.invite((req, res) => {
    if (/;tag=/.test(req.get('To'))) take(req, res, SDP);
    else void app.createUAS(req, res, { localSdp: SDP }).catch(() => undefined);
  });
  for (const method of ['bye', 'info', 'update', 'ack'])
    app.use(method, (req: Srf.SrfRequest, res: Srf.SrfResponse) => take(req, res));
}

function take(req: Srf.SrfRequest, res: Srf.SrfResponse, body?: string): void {
  heardByApp.push(req as Request);
  if (req.method !== 'ACK') res.send(200, body === undefined ? {} : { body });
}

/** The process is gone: its sockets are closed, and it sends nothing more. Another one takes its ports. */
async function restart(
  options: { connect?: boolean; during?: () => unknown; restored?: readonly unknown[] } = {},
): Promise<void> {
  const [udp, tcp] = [addressOf(server, 'udp'), addressOf(server, 'tcp')];
  const restored = options.restored ?? [lastSaved()];
  disconnect();
  await server.stop();
  await options.during?.();
  heardByApp = [];
  server = await testServer({
    listeners: [
      { ...udp, transport: 'udp' },
      { ...tcp, transport: 'tcp' },
    ],
    restored,
    onDialogChanged,
  });
  if (options.connect !== false) await connectAgain();
}

function disconnect(): void {
  srf?.disconnect();
  srf = undefined;
}

async function connectAgain(): Promise<void> {
  srf = await connectApp(server, answering, ['calls']);
}

const lastSaved = (): SavedDialog => JSON.parse(kept.at(-1)!) as SavedDialog;

async function call(headers: string[] = [], by = caller): Promise<HeardMessage> {
  by.peer.send(by.request('INVITE', 1, { body: SDP, headers }));
  const ok = await by.peer.final();
  expect(ok.status).toBe(200);
  by.learn(ok);
  return ok;
}

async function acknowledge(by = caller): Promise<void> {
  by.peer.send(by.request('ACK', 1));
  await expect.poll(() => kept.length > 0 && lastSaved().unacknowledged).toBeUndefined();
}

/** The application sends a request in the dialog. */
function send(method: string, body = ''): Promise<{ status: number }> {
  const { client } = (srf as unknown as { _app: { client: Client } })._app;
  const final = deferred<{ status: number }>();
  client.request({ method, body, headers: {}, stackDialogId: lastSaved().id }, (error, request) => {
    if (error) throw error;
    request!.on('response', (response, ack) => {
      if (response.status < 200) return;
      if (method === 'INVITE') ack();
      final.resolve(response);
    });
  });
  return final.promise;
}
interface Client {
  request(
    options: object,
    callback: (
      error: Error | null,
      request?: {
        on(event: string, listener: (response: { status: number }, ack: () => void) => void): void;
      },
    ) => void,
  ): void;
}

function reply(request: HeardMessage, status: string, headers: string[] = [], by = peer): void {
  const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map((name) => `${name}: ${request.header(name)[0]!}`);
  by.send([`SIP/2.0 ${status}`, ...echo, ...headers, 'Content-Length: 0', '', ''].join('\r\n'));
}

const numberOf = (message: HeardMessage): number => Number.parseInt(message.header('cseq')[0]!, 10);

describe('what is kept of a dialog', () => {
  it('is there before the 200 is, and follows each change', async () => {
    let before = 0;
    peer.send(caller.request('INVITE', 1, { body: SDP }));
    const ok = await peer.final();
    before = kept.length;
    expect(before).toBeGreaterThan(0);
    const first = JSON.parse(kept[0]!) as SavedDialog;
    expect(first).toMatchObject({
      remoteTag: caller.fromTag,
      remoteSequence: 1,
      localSdp: SDP,
      tags: ['calls'],
    });
    const { head, hasSdp } = first.unacknowledged!;
    expect([head + SDP, hasSdp]).toEqual([ok.text, true]);
    caller.learn(ok);
    await acknowledge();
    peer.send(caller.request('INFO', 5, { headers: ['Allow: INVITE, ACK, BYE, UPDATE'] }));
    expect((await peer.final()).status).toBe(200);
    expect(lastSaved()).toMatchObject({ remoteSequence: 5, peerAllowsUpdate: true });
    const info = send('INFO');
    const request = await peer.next(isRequest('INFO'));
    expect(lastSaved().localSequence).toBe(numberOf(request));
    reply(request, '200 OK');
    await info;
    const moved = caller.request('UPDATE', 6).replace(/^Contact:.*$/m, 'Contact: <sip:moved@127.0.0.1:9>');
    peer.send(moved);
    expect((await peer.final()).status).toBe(200);
    expect(lastSaved().remoteTarget).toBe('sip:moved@127.0.0.1:9');
  });

  it('is nothing for other dialogs than those of confirmed INVITEs, and for those that have ended', async () => {
    expect(server.savedDialog('unknown')).toBeUndefined();
    await call();
    const { id } = lastSaved();
    await acknowledge();
    peer.send(caller.request('BYE', 2));
    await peer.final();
    expect(server.savedDialog(id)).toBeUndefined();
  });
});

describe('a dialog of a process that died, over UDP', () => {
  it.each(['BYE', 'INFO', 'UPDATE', 'INVITE'])('takes %s of the phone', async (method) => {
    await call();
    await acknowledge();
    const { id } = lastSaved();
    await restart();
    peer.send(caller.request(method, 2, method === 'INVITE' ? { body: SDP } : {}));
    expect((await peer.final()).status).toBe(200);
    expect(heardByApp.map((request) => [request.method, request.stackDialogId])).toEqual([[method, id]]);
    if (method === 'INVITE') {
      peer.send(caller.request('ACK', 2));
      await expect.poll(() => heardByApp.at(-1)?.method).toBe('ACK');
    }
    expect(server.counters().dialogs).toBe(method === 'BYE' ? 0 : 1);
  });

  it('keeps requests for its application until that has connected: none gets 481', async () => {
    await call();
    await acknowledge();
    await restart({ connect: false });
    peer.send(caller.request('INFO', 2));
    peer.send(caller.request('UPDATE', 3));
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    await connectAgain();
    const finals = [await peer.final(), await peer.final()];
    expect(finals.map(({ status }) => status)).toEqual([200, 200]);
    expect(heardByApp.map(({ method }) => method)).toEqual(['INFO', 'UPDATE']);
  });

  it('answers what the phone asked while nobody was there, when it asks again', async () => {
    await call();
    await acknowledge();
    const update = caller.request('UPDATE', 2);
    await restart({ during: () => peer.send(update) });
    peer.send(update);
    expect((await peer.final()).status).toBe(200);
  });

  it('refuses requests that are older than those before', async () => {
    await call();
    await acknowledge();
    peer.send(caller.request('INFO', 9));
    await peer.final();
    await restart();
    peer.send(caller.request('INFO', 8));
    expect((await peer.final()).status).toBe(500);
  });

  it.each(['BYE', 'INFO', 'INVITE'])('lets the application send %s, with a higher number', async (method) => {
    await call();
    await acknowledge();
    const info = send('INFO');
    const earlier = await peer.next(isRequest('INFO'));
    reply(earlier, '200 OK');
    await info;
    await restart();
    const sent = send(method, method === 'INVITE' ? SDP : '');
    const request = await peer.next(isRequest(method));
    expect(numberOf(request)).toBeGreaterThan(numberOf(earlier));
    expect(request.header('from')[0]).toBe(earlier.header('from')[0]);
    expect(request.header('to')[0]).toBe(earlier.header('to')[0]);
    reply(request, '200 OK', [`Contact: <sip:caller@127.0.0.1:${peer.port}>`]);
    if (method === 'INVITE') expect(numberOf(await peer.next(isRequest('ACK')))).toBe(numberOf(request));
    expect((await sent).status).toBe(200);
  });

  it('survives as often as the process dies', async () => {
    await call();
    await acknowledge();
    await restart();
    await restart({ restored: [lastSaved()] });
    peer.send(caller.request('BYE', 2));
    expect((await peer.final()).status).toBe(200);
  });

  it('is hung up when its application does not come back', async () => {
    await call();
    await acknowledge();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    await restart({ connect: false });
    await vi.advanceTimersByTimeAsync(30_000);
    expect((await peer.next(isRequest('BYE'))).header('reason')[0]).toContain('application disconnected');
    expect(server.counters().dialogs).toBe(0);
  });

  it('that cannot be read gets 481, and hinders no other', async () => {
    await call();
    await acknowledge();
    await restart({ restored: [{ ...lastSaved(), callId: 7 }, 'text', lastSaved()] });
    peer.send(caller.request('INFO', 2));
    expect((await peer.final()).status).toBe(200);
    peer.send(new Caller(peer).request('BYE', 2).replace(/^(To:.*)$/m, '$1;tag=none'));
    expect((await peer.final()).status).toBe(481);
  });

  it('has its re-INVITE acknowledged whose 200 comes only now, each time', async () => {
    await call();
    await acknowledge();
    void send('INVITE', SDP);
    const invite = await peer.next(isRequest('INVITE'));
    await restart();
    const answer = (): void => reply(invite, '200 OK', [`Contact: <sip:moved@127.0.0.1:${peer.port}>`]);
    answer();
    expect(numberOf(await peer.next(isRequest('ACK')))).toBe(numberOf(invite));
    answer();
    expect(numberOf(await peer.next(isRequest('ACK')))).toBe(numberOf(invite));
    expect(lastSaved().remoteTarget).toContain('moved');
    expect(server.counters().droppedStray).toBe(0);
  });
});

describe('a session timer of a process that died', () => {
  const ours = ['Session-Expires: 1800;refresher=uas', 'Supported: timer', 'Allow: INVITE, ACK, BYE, UPDATE'];
  const theirs = ['Session-Expires: 600;refresher=uac', 'Supported: timer'];

  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));

  async function callFor(headers: string[], beforeMs: number): Promise<void> {
    await call(headers);
    await acknowledge();
    await vi.advanceTimersByTimeAsync(beforeMs);
    // Nobody runs the timers while the process is gone.
    await restart({ during: () => vi.advanceTimersByTimeAsync(2_000) });
  }

  it('is refreshed by us at half the interval, as agreed', async () => {
    await callFor(ours, 400_000);
    const sent = server.counters().requestsOut;
    await vi.advanceTimersByTimeAsync(497_000);
    expect(server.counters().requestsOut).toBe(sent);
    await vi.advanceTimersByTimeAsync(1_000);
    const update = await peer.next(isRequest('UPDATE'));
    expect(update.header('session-expires')).toEqual(['1800;refresher=uac']);
    reply(update, '200 OK', ['Session-Expires: 1800;refresher=uac']);
    await expect.poll(() => server.counters().responsesIn).toBe(1);
    await vi.advanceTimersByTimeAsync(900_000);
    await peer.next(isRequest('UPDATE'));
  });

  it('is refreshed at once when that came due meanwhile', async () => {
    await callFor(ours, 899_000);
    await vi.advanceTimersByTimeAsync(1);
    await peer.next(isRequest('UPDATE'));
  });

  it('is refreshed by the phone', async () => {
    await callFor(theirs, 300_000);
    peer.send(caller.request('UPDATE', 2, { headers: theirs }));
    expect((await peer.final()).header('session-expires')).toEqual(['600;refresher=uac']);
    await vi.advanceTimersByTimeAsync(500_000);
    expect(server.counters().dialogs).toBe(1);
  });

  it('ends the call when the phone does not refresh it, but not before it had time to', async () => {
    await callFor(theirs, 567_000);
    await vi.advanceTimersByTimeAsync(31_000);
    expect(server.counters().dialogs).toBe(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await peer.next(isRequest('BYE'))).header('reason')[0]).toContain('Session timer expired');
  });
});

describe('a 200 that was not acknowledged when the process died', () => {
  it('is sent again: the phone that has it acknowledges it again, and the call goes on', async () => {
    const ok = await call();
    await restart({ during: () => peer.send(caller.request('ACK', 1)) });
    const again = await peer.final();
    expect(again.text).toBe(ok.text);
    peer.send(caller.request('ACK', 1));
    await expect.poll(() => heardByApp.map(({ method }) => method)).toEqual(['ACK']);
    expect(lastSaved().unacknowledged).toBeUndefined();
    peer.send(caller.request('BYE', 2));
    expect((await peer.final()).status).toBe(200);
  });

  it('reaches a phone that missed it and repeats its INVITE, which makes no second call', async () => {
    const invite = caller.request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-repeated' });
    peer.send(invite);
    await peer.final();
    await restart({ during: () => peer.send(invite) });
    peer.send(invite);
    const ok = await peer.final();
    caller.learn(ok);
    peer.send(invite);
    peer.send(caller.request('ACK', 1));
    await expect.poll(() => heardByApp.map(({ method }) => method)).toEqual(['ACK']);
    expect(server.counters().dialogs).toBe(1);
  });

  it('is given up after 64 T1, and the phone gets BYE', async () => {
    await call();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    await restart();
    await vi.advanceTimersByTimeAsync(32_000);
    expect((await peer.next(isRequest('BYE'))).header('reason')[0]).toContain('ACK timeout');
    expect(server.counters().dialogs).toBe(0);
  });
});

describe('a dialog of a process that died, over TCP', () => {
  let phone: SipPeer;
  let contact: Server;
  let connected: Promise<Socket>;

  beforeEach(async () => {
    phone = await SipPeer.tcp(addressOf(server, 'tcp'));
    contact = createServer().listen(0, '127.0.0.1');
    await once(contact, 'listening');
    connected = once(contact, 'connection').then(([socket]) => socket as Socket);
    caller = new Caller(phone, 'TCP');
    cleanups.push(
      () => phone.close(),
      () => contact.close(),
    );
    const { port } = contact.address() as { port: number };
    const request = caller.request.bind(caller);
    caller.request = (...args) =>
      request(...args).replace(/^Contact:.*$/m, `Contact: <sip:caller@127.0.0.1:${port};transport=tcp>`);
  });

  it('goes on by the phone’s next connection', async () => {
    await call();
    await acknowledge();
    const { id } = lastSaved();
    await restart();
    expect(server.hasLostConnection(id)).toBe(true);
    const again = await SipPeer.tcp(addressOf(server, 'tcp'));
    cleanups.push(() => again.close());
    again.send(caller.request('UPDATE', 2));
    expect((await again.final()).status).toBe(200);
    expect(server.hasLostConnection(id)).toBe(false);
    void send('BYE');
    const bye = await again.next(isRequest('BYE'));
    reply(bye, '200 OK', [], again);
    await expect.poll(() => server.counters().dialogs).toBe(0);
  });

  it('goes on by a connection of ours to where the phone wants to be reached', async () => {
    await call();
    await acknowledge();
    await restart();
    const sent = send('BYE');
    const ours = SipPeer.stream(await connected);
    cleanups.push(() => ours.close());
    reply(await ours.next(isRequest('BYE')), '200 OK', [], ours);
    expect((await sent).status).toBe(200);
  });

  it('takes the INVITE again that was not acknowledged', async () => {
    const invite = caller.request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-repeated' });
    phone.send(invite);
    await phone.final();
    await restart();
    const again = await SipPeer.tcp(addressOf(server, 'tcp'));
    cleanups.push(() => again.close());
    again.send(invite);
    caller.learn(await again.final());
    again.send(caller.request('ACK', 1));
    await expect.poll(() => heardByApp.map(({ method }) => method)).toEqual(['ACK']);
    expect(server.counters().dialogs).toBe(1);
  });
});
