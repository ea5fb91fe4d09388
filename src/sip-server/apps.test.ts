import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SipServer } from './index.js';
import { b2bua } from '../../test/fixtures/srf-apps/b2bua.js';
import { registrar } from '../../test/fixtures/srf-apps/registrar.js';
import { Caller, SDP, SipPeer, type HeardMessage } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../test/support/sip-server.js';

let server: SipServer;
let caller: Caller;
const cleanups: (() => void)[] = [];

beforeEach(async () => {
  server = await testServer();
  caller = new Caller(await udpPeer());
});

afterEach(async () => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0)) cleanup();
  await server.stop();
});

async function udpPeer(): Promise<SipPeer> {
  const peer = await SipPeer.udp(addressOf(server, 'udp'));
  cleanups.push(() => peer.close());
  return peer;
}

async function run(srf: Srf): Promise<void> {
  const connected = once(srf, 'connect');
  void srf.connect({ host: '127.0.0.1', port: server.adminAddress.port, secret: 'cymru' });
  await connected;
  cleanups.push(() => srf.disconnect());
}

function reply(peer: SipPeer, request: HeardMessage, status: string, body = ''): void {
  const echo = ['via', 'from', 'call-id', 'cseq'].map((name) => `${name}: ${request.header(name)[0]!}`);
  const to = request.header('to')[0]!;
  const rest = [
    `To: ${to.includes('tag=') ? to : `${to};tag=callee`}`,
    `Contact: <sip:callee@127.0.0.1:${peer.port}>`,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
  ];
  peer.send([`SIP/2.0 ${status}`, ...echo, ...rest, `Content-Length: ${body.length}`, '', body].join('\r\n'));
}

describe('an unmodified back-to-back user agent', () => {
  let callee: SipPeer;

  beforeEach(async () => {
    callee = await udpPeer();
    await run(b2bua(`sip:callee@127.0.0.1:${callee.port}`));
  });

  it('connects two phones and hangs both up', async () => {
    caller.peer.send(caller.request('INVITE', 1, { body: SDP, headers: ['Subject: lunch'] }));
    const invite = await callee.next(({ method }) => method === 'INVITE');
    expect(invite.body).toBe(SDP);
    expect(invite.header('subject')).toEqual(['lunch']);
    reply(callee, invite, '180 Ringing');
    expect((await caller.peer.next(({ status }) => status > 100)).status).toBe(180);
    reply(callee, invite, '200 OK', SDP);
    const ok = await caller.peer.final();
    expect(ok.body).toBe(SDP);
    caller.learn(ok);
    caller.peer.send(caller.request('ACK', 1));
    await callee.next(({ method }) => method === 'ACK');
    caller.peer.send(caller.request('BYE', 2));
    expect((await caller.peer.final()).status).toBe(200);
    reply(callee, await callee.next(({ method }) => method === 'BYE'), '200 OK');
    await expect.poll(() => server.counters().dialogs).toBe(0);
  });

  it('passes a refusal on', async () => {
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    reply(callee, await callee.next(({ method }) => method === 'INVITE'), '486 Busy Here');
    expect((await caller.peer.final()).status).toBe(486);
    await expect.poll(() => server.counters().dialogs).toBe(0);
  });

  it('passes a CANCEL on', async () => {
    caller.peer.send(caller.request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-c' }));
    const invite = await callee.next(({ method }) => method === 'INVITE');
    reply(callee, invite, '180 Ringing');
    await caller.peer.next(({ status }) => status === 180);
    caller.peer.send(caller.request('CANCEL', 1, { branch: 'z9hG4bK-c' }));
    const cancel = await callee.next(({ method }) => method === 'CANCEL');
    reply(callee, cancel, '200 OK');
    reply(callee, invite, '487 Request Terminated');
    await callee.next(({ method }) => method === 'ACK');
  });
});

describe('an unmodified registrar', () => {
  it('challenges, and takes the right answer', async () => {
    const { srf, bindings } = registrar({ alice: 'wonderland' });
    await run(srf);
    caller.peer.send(caller.request('REGISTER', 1));
    const challenge = await caller.peer.final();
    expect(challenge.status).toBe(401);
    expect(challenge.header('www-authenticate')[0]).toContain('nonce="nonce-1"');
    const md5 = (text: string): string => createHash('md5').update(text).digest('hex');
    const response = md5(`${md5('alice:example.com:wonderland')}:nonce-1:${md5('REGISTER:sip:example.com')}`);
    const answer = `Digest username="alice", realm="example.com", nonce="nonce-1", uri="sip:example.com", response="${response}"`;
    caller.peer.send(caller.request('REGISTER', 2, { headers: [`Authorization: ${answer}`] }));
    const accepted = await caller.peer.final();
    expect(accepted.status).toBe(200);
    expect(accepted.header('expires')).toEqual(['300']);
    expect(bindings.get('alice')).toContain(`127.0.0.1:${caller.peer.port}`);
  });
});

describe('the id of a dialog', () => {
  it('is of Call-ID and the caller’s tag, but never given twice nor with separators in it', async () => {
    const ids: string[] = [];
    const app = await connectApp(server, (srf) =>
      srf.invite((req, res) => {
        void srf
          .createUAS(req, res, { localSdp: SDP })
          .then((dialog) => ids.push((dialog as unknown as { id: string }).id));
      }),
    );
    cleanups.push(() => app.disconnect());
    const call = async (cseq: number, callId = caller.callId): Promise<void> => {
      const invite = caller.request('INVITE', cseq, { body: SDP });
      caller.peer.send(invite.replace(caller.callId, callId));
      caller.learn(await caller.peer.final());
      caller.peer.send(caller.request('ACK', cseq).replace(caller.callId, callId));
      caller.toTag = '';
    };
    await call(1);
    await call(2);
    await call(3, 'odd|id');
    await expect.poll(() => ids.length).toBe(3);
    expect(ids[0]).toBe(`${caller.callId};from-tag=${caller.fromTag}`);
    expect(new Set(ids).size).toBe(3);
    expect(ids[2]).not.toContain('odd');
  });
});

describe('several applications', () => {
  it('take calls in turn', async () => {
    for (const name of ['one', 'two']) {
      const app = await connectApp(server, (srf) =>
        srf.invite((_req, res) => res.send(486, { headers: { 'X-App': name } })),
      );
      cleanups.push(() => app.disconnect());
    }
    const names: (string | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      const next = new Caller(caller.peer);
      caller.peer.send(next.request('INVITE', 1, { body: SDP }));
      names.push((await caller.peer.final()).header('x-app')[0]);
    }
    expect(names).toEqual(['one', 'two', 'one', 'two']);
  });

  it('take turns by the tag that is chosen for a request, and by none when none is', async () => {
    const tagged = await testServer({
      router: ({ header }) => ({ action: 'route', tag: header('X-Tag') }),
    });
    const phone = await SipPeer.udp(addressOf(tagged, 'udp'));
    cleanups.push(
      () => phone.close(),
      () => void tagged.stop(),
    );
    for (const [name, tags] of [
      ['one', ['voice', 'blue']],
      ['two', ['voice']],
      ['three', ['text']],
    ] as const) {
      const answer = (_req: unknown, res: Srf.SrfResponse): void =>
        res.send(486, { headers: { 'X-App': name } });
      const app = await connectApp(tagged, (srf) => srf.invite(answer), [...tags]);
      cleanups.push(() => app.disconnect());
    }
    const askedFor = async (tag?: string): Promise<string | number | undefined> => {
      const headers = tag === undefined ? [] : [`X-Tag: ${tag}`];
      phone.send(new Caller(phone).request('INVITE', 1, { body: SDP, headers }));
      const final = await phone.final();
      return final.header('x-app')[0] ?? final.status;
    };
    expect([await askedFor('voice'), await askedFor('voice')].sort()).toEqual(['one', 'two']);
    expect(await askedFor('blue')).toBe('one');
    expect(await askedFor('text')).toBe('three');
    expect(await askedFor('nobody')).toBe(480);
    expect([await askedFor(), await askedFor(), await askedFor()].sort()).toEqual(['one', 'three', 'two']);
  });

  it('are told of calls by call records when they ask', async () => {
    const events: string[] = [];
    const attempts: string[] = [];
    const token = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoiOTkw.c2lnbmF0dXJl';
    const secrets = [
      `User-to-User: ${token};encoding=jwt`,
      `Referred-By: <sip:${token.replaceAll('.', '%2E')}@h>`,
    ];
    const watcher = await connectApp(server, (srf) => {
      srf.on('cdr:attempt', (source, _time, message) => {
        events.push(`attempt ${source}`);
        attempts.push(JSON.stringify(message));
      });
      srf.on('cdr:start', (source, _time, role) => events.push(`start ${source} ${role}`));
      srf.on('cdr:stop', (source, _time, reason) => events.push(`stop ${source} ${reason}`));
    });
    cleanups.push(() => watcher.disconnect());
    const app = await connectApp(server, (srf) =>
      srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: SDP })),
    );
    cleanups.push(() => app.disconnect());
    caller.peer.send(caller.request('INVITE', 1, { body: SDP, headers: secrets }));
    caller.learn(await caller.peer.final());
    caller.peer.send(caller.request('ACK', 1));
    caller.peer.send(caller.request('BYE', 2));
    await expect
      .poll(() => events)
      .toEqual(['attempt network', 'start application uas', 'stop network normal-release']);
    expect(attempts[0]).toContain('<sip:***@h>');
    expect(attempts[0]).not.toContain('c2lnbmF0dXJl');
  });
});

describe('connections to the port of applications', () => {
  it('that give no secret give way to one that does', async () => {
    const silent = Array.from({ length: 64 }, () => connect(server.adminAddress.port, '127.0.0.1'));
    cleanups.push(() => silent.forEach((socket) => socket.destroy()));
    await expect.poll(() => server.counters().apps).toBe(64);
    const closed = once(silent[0]!.resume(), 'close');
    const app = await connectApp(server, () => undefined);
    cleanups.push(() => app.disconnect());
    await closed;
    expect(server.counters()).toMatchObject({ apps: 64, closedUnauthenticated: 1 });
  });

  it('are closed when they say more than a secret takes', async () => {
    const socket = connect(server.adminAddress.port, '127.0.0.1');
    socket.write(`5000#${'x'.repeat(10)}`);
    await once(socket.resume(), 'close');
  });
});

describe('an application that is gone', () => {
  it('answers its open requests with 503', async () => {
    const app = await connectApp(server, (srf) => srf.invite((_req, res) => res.send(180)));
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    await caller.peer.next(({ status }) => status === 180);
    app.disconnect();
    expect((await caller.peer.final()).status).toBe(503);
  });

  it('leaves its calls to the next of its kind', async () => {
    const calls = { ended: deferred<undefined>() };
    const answering = (srf: Srf): void => {
      srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: SDP }));
      srf.use('bye', (_req, res) => {
        calls.ended.resolve(undefined);
        res.send(200);
      });
    };
    const first = await connectApp(server, answering);
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    caller.learn(await caller.peer.final());
    caller.peer.send(caller.request('ACK', 1));
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    first.disconnect();
    await expect.poll(() => server.counters().apps).toBe(0);
    const second = await connectApp(server, answering);
    cleanups.push(() => second.disconnect());
    caller.peer.send(caller.request('BYE', 2));
    expect((await caller.peer.final()).status).toBe(200);
    await calls.ended.promise;
  });

  it('has its calls hung up when nobody takes them over', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const app = await connectApp(server, (srf) =>
      srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: SDP })),
    );
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    caller.learn(await caller.peer.final());
    caller.peer.send(caller.request('ACK', 1));
    await expect.poll(() => server.counters().requestsIn).toBe(2);
    app.disconnect();
    await expect.poll(() => server.counters().apps).toBe(0);
    await vi.advanceTimersByTimeAsync(30_000);
    const bye = await caller.peer.next(({ method }) => method === 'BYE');
    expect(bye.header('reason')[0]).toContain('application disconnected');
  });
});

describe('stopping', () => {
  it('still sends what an application answered before it disconnected', async () => {
    const stopped = deferred<Promise<void>>();
    const app = await connectApp(server, (srf) =>
      srf.invite((req, res) => {
        void srf.createUAS(req, res, { localSdp: SDP }).then((dialog) =>
          dialog.on('destroy', () => {
            srf.disconnect();
            stopped.resolve(server.stop());
          }),
        );
      }),
    );
    expect(app).toBeDefined();
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    caller.learn(await caller.peer.final());
    caller.peer.send(caller.request('ACK', 1));
    caller.peer.send(caller.request('BYE', 2));
    expect((await caller.peer.final()).status).toBe(200);
    await stopped.promise;
    server = await testServer();
  });
});

describe('the admin port', () => {
  async function say(text: string): Promise<string> {
    const socket = connect(server.adminAddress.port, '127.0.0.1');
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    socket.write(text);
    await once(socket, 'close');
    return heard;
  }

  it('turns away who has the wrong secret, speaks before giving one, or makes no sense', async () => {
    expect(await say('24#1|authenticate|wrong|tag')).toContain('|response|1|NOK|incorrect secret');
    expect(await say('6#1|ping')).toBe('');
    expect(await say('not a length')).toBe('');
    expect(await say('9999999#')).toBe('');
  });

  it('answers pings, and what it does not know', async () => {
    const socket = connect(server.adminAddress.port, '127.0.0.1');
    cleanups.push(() => socket.destroy());
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    socket.write('21#1|authenticate|cymru|6#2|ping8#3|dancex10#4|sip|nope');
    await expect.poll(() => heard).toContain('|response|2|OK|pong');
    await expect.poll(() => heard).toContain('|response|3|NOK|Unknown message type');
    await expect.poll(() => heard).toContain('|response|4|NOK|Invalid message format');
    expect(heard).toMatch(/\|response\|1\|OK\|udp\/127\.0\.0\.1:\d+,tcp\/127\.0\.0\.1:\d+\|v\d+\.\d+\.\d+\|/);
  });
});
