import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type Srf from 'drachtio-srf';
import { afterEach, describe, expect, it } from 'vitest';
import type { SipServer, SipServerOptions } from './index.js';
import { Caller, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../test/support/sip-server.js';

let server: SipServer;
const cleanups: (() => void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await server.stop();
});

async function start(
  options: Partial<SipServerOptions>,
  prepare: (app: Srf) => void = () => undefined,
): Promise<void> {
  server = await testServer(options);
  const srf = await connectApp(server, prepare);
  cleanups.push(() => srf.disconnect());
}

async function udpCaller(): Promise<Caller> {
  const peer = await SipPeer.udp(addressOf(server, 'udp'));
  cleanups.push(() => peer.close());
  return new Caller(peer);
}

async function tcpCaller(): Promise<Caller> {
  const peer = await SipPeer.tcp(addressOf(server, 'tcp'));
  cleanups.push(() => peer.close());
  return new Caller(peer, 'TCP');
}

describe('the allow-list', () => {
  it('keeps strangers out before anything is parsed', async () => {
    await start({ allow: ['192.0.2.0/24', '2001:db8::/32'] });
    const caller = await udpCaller();
    caller.peer.send(caller.request('OPTIONS', 1));
    await expect.poll(() => server.counters().droppedNotAllowed).toBe(1);
    expect(server.counters()).toMatchObject({ requestsIn: 0, responsesOut: 0 });
    const socket = connect(addressOf(server, 'tcp').port, '127.0.0.1');
    await once(socket, 'close');
    expect(server.counters().connections).toBe(0);
  });

  it('lets those in that it names', async () => {
    await start({ allow: ['127.0.0.0/8'] });
    const caller = await udpCaller();
    caller.peer.send(caller.request('OPTIONS', 1));
    expect((await caller.peer.final()).status).toBe(200);
  });

  it('lets a socket of this process in, and says so where admission is asked', async () => {
    let own = 0;
    const admitted: boolean[] = [];
    await start(
      {
        allow: ['192.0.2.0/24'],
        isOwnSocket: ({ host, port }) => host === '127.0.0.1' && port === own,
        admission: {
          admit: (_source, isOwn) => {
            admitted.push(isOwn);
            return 7;
          },
          crowded: () => 1,
        },
      },
      (app) => app.invite((_request, response) => response.send(486)),
    );
    const [stranger, caller] = [await udpCaller(), await udpCaller()];
    own = caller.peer.port;
    stranger.peer.send(stranger.request('INVITE', 1, { body: SDP }));
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    expect((await caller.peer.final()).status).toBe(503);
    expect(admitted).toEqual([true]);
    await expect.poll(() => server.counters().droppedNotAllowed).toBe(1);
  });

  it('is refused with the entry that is wrong', async () => {
    await start({});
    await expect(testServer({ allow: ['127.0.0.1/33'] })).rejects.toThrow('127.0.0.1/33');
    await expect(testServer({ allow: ['example.com'] })).rejects.toThrow('example.com');
  });
});

describe('floods', () => {
  it('of messages are cut at the rate of one source', async () => {
    await start({ limits: { messagesPerSecond: 1, messageBurst: 10 } });
    const caller = await udpCaller();
    for (let i = 1; i <= 30; i++) caller.peer.send(caller.request('OPTIONS', i));
    await expect.poll(() => server.counters().droppedRateLimited).toBe(20);
    expect(server.counters().requestsIn).toBe(10);
  });

  it('of an address that the allow-list names are refused in words, and its calls are served', async () => {
    const warnings: string[] = [];
    const ignore = (): void => undefined;
    const log = {
      debug: ignore,
      info: ignore,
      warn: (_fields: object, text: string) => void warnings.push(text),
      error: ignore,
    };
    const limits = { messagesPerSecond: 0.001, messageBurst: 2 };
    await start({ allow: ['127.0.0.1'], limits, log }, (app) =>
      app.invite((req, res) => {
        void app.createUAS(req, res, { localSdp: SDP });
      }),
    );
    const caller = await udpCaller();
    const { peer } = caller;
    const invite = caller.request('INVITE', 1, { body: SDP });
    peer.send(invite);
    const ok = await peer.final();
    expect(ok.status).toBe(200);
    caller.learn(ok);
    peer.send(caller.request('ACK', 1));
    // The burst is over.
    for (let i = 0; i < 3; i++) {
      peer.send(new Caller(peer).request('INVITE', 1, { body: SDP }));
      const refused = await peer.final();
      expect(refused.status).toBe(503);
      expect(refused.header('retry-after')).toHaveLength(1);
    }
    peer.send(caller.request('INFO', 2));
    expect((await peer.final()).status).toBe(200);
    peer.send(caller.request('BYE', 3));
    expect((await peer.final()).status).toBe(200);
    expect(server.counters()).toMatchObject({ refusedOverRate: 3, droppedRateLimited: 0 });
    expect(warnings).toHaveLength(1);
  });

  it('of calls fill a bounded table and are refused beyond it', async () => {
    const told: string[] = [];
    const onNoRoom: SipServerOptions['onNoRoom'] = (invite) =>
      told.push([invite.uri, invite.source_address, invite.get('cseq'), invite.body.slice(0, 3)].join(' '));
    const options = { limits: { maxTransactions: 5 }, onNoRoom };
    await start(options, (app) => app.invite((_req, res) => res.send(180)));
    const peer = (await udpCaller()).peer;
    for (let i = 0; i < 8; i++) peer.send(new Caller(peer).request('INVITE', 1, { body: SDP }));
    const refused = await peer.final();
    expect(refused.status).toBe(503);
    expect(refused.header('retry-after')).toHaveLength(1);
    await expect.poll(() => server.counters()).toMatchObject({ droppedTransactions: 3, transactions: 5 });
    expect(told).toEqual(Array(3).fill('sip:gateway@127.0.0.1 127.0.0.1 1 INVITE v=0'));
  });

  it('of dialogs are refused beyond their table', async () => {
    const told: (string | undefined)[] = [];
    const onNoRoom: SipServerOptions['onNoRoom'] = (invite) => told.push(invite.get('Call-ID'));
    const options = { limits: { maxDialogs: 2 }, onNoRoom };
    await start(options, (app) => app.invite((_req, res) => res.send(180)));
    const peer = (await udpCaller()).peer;
    for (let i = 0; i < 3; i++) peer.send(new Caller(peer).request('INVITE', 1, { body: SDP }));
    await peer.next(({ status }) => status === 180);
    await peer.next(({ status }) => status === 180);
    const last = new Caller(peer);
    peer.send(last.request('INVITE', 1, { body: SDP }));
    expect((await peer.final()).status).toBe(503);
    expect(told).toEqual([last.callId]);
  });

  it('of calls that the application has no room for are refused, and it is told of them', async () => {
    const told: (string | undefined)[] = [];
    const admission = { admit: () => 7, crowded: () => 5 };
    await start({ admission, onNoRoom: (invite) => told.push(invite.get('Call-ID')) });
    const caller = await udpCaller();
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    expect((await caller.peer.final()).header('retry-after')).toEqual(['7']);
    expect(told).toEqual([caller.callId]);
  });

  it('of connections from one address are cut', async () => {
    await start({ limits: { maxConnectionsPerAddress: 2 } });
    for (const caller of [await tcpCaller(), await tcpCaller()]) {
      caller.peer.send(caller.request('OPTIONS', 1));
      expect((await caller.peer.final()).status).toBe(200);
    }
    const socket = connect(addressOf(server, 'tcp').port, '127.0.0.1');
    await once(socket, 'close');
    expect(server.counters()).toMatchObject({ droppedConnections: 1, connections: 2, closedForRoom: 0 });
  });

  it('cannot be aimed at somebody else: what is answered stays in proportion', async () => {
    await start({}, (app) =>
      app.invite((_req, res) => res.send(486, { headers: { 'X-Pad': 'x'.repeat(4000) } })),
    );
    const attacker = await udpCaller();
    const victim = createSocket('udp4');
    victim.bind(0, '127.0.0.1');
    await once(victim, 'listening');
    cleanups.push(() => victim.close());
    let received = 0;
    victim.on('message', (bytes) => (received += bytes.length));
    let sent = 0;
    for (let i = 0; i < 10; i++) {
      // Without rport the answer goes where Via says, here to somebody who never asked.
      const invite = new Caller(attacker.peer)
        .request('INVITE', 1, { body: SDP })
        .replace(/127\.0\.0\.1:\d+;branch=(\S+);rport/, `127.0.0.1:${victim.address().port};branch=$1`);
      sent += invite.length;
      attacker.peer.send(invite);
    }
    await expect.poll(() => server.counters().droppedAmplification).toBeGreaterThan(0);
    expect(received).toBeLessThan(8192 + 3 * sent + 1000);
  });
});

describe('scanners', () => {
  it('get no answer', async () => {
    await start({});
    const caller = await udpCaller();
    caller.peer.send(caller.request('OPTIONS', 1, { headers: ['User-Agent: friendly-scanner'] }));
    caller.peer.send(caller.request('OPTIONS', 2));
    expect((await caller.peer.final()).header('cseq')).toEqual(['2 OPTIONS']);
    expect(server.counters().droppedScanner).toBe(1);
  });

  // What real programs are called.
  it.each([
    'SIPClient/2.1',
    'Mizu SIPClient',
    'latest agent 3',
    'Contest Agent Desktop',
    'iWarranty dialer',
    'Smaptel/1.0',
    'VaxSIPUserAgent/3.1',
    'sipscanner-free PBX',
  ])('are not %s', async (agent) => {
    await start({});
    const caller = await udpCaller();
    caller.peer.send(caller.request('OPTIONS', 1, { headers: [`User-Agent: ${agent}`] }));
    expect((await caller.peer.final()).header('cseq')).toEqual(['1 OPTIONS']);
  });

  it.each(['friendly-scanner', 'sipcli/v1.8', 'SIPVicious 0.3', 'Test Agent', 'smap 0.6', 'iWar'])(
    'are %s',
    async (agent) => {
      await start({});
      const caller = await udpCaller();
      caller.peer.send(caller.request('OPTIONS', 1, { headers: [`User-Agent: ${agent}`] }));
      caller.peer.send(caller.request('OPTIONS', 2));
      expect((await caller.peer.final()).header('cseq')).toEqual(['2 OPTIONS']);
    },
  );

  it('are who the application says, and one that it exempts is heard', async () => {
    await start({
      scanners: ['Odd'],
      exempts: ({ uri, get }) => uri.includes('gateway') && get('x-known') === 'a,b',
    });
    const caller = await udpCaller();
    const agent = 'User-Agent: odd/1';
    caller.peer.send(caller.request('OPTIONS', 1, { headers: [agent] }));
    caller.peer.send(caller.request('OPTIONS', 2, { headers: [agent, 'X-Known: a', 'X-Known: b'] }));
    expect((await caller.peer.final()).header('cseq')).toEqual(['2 OPTIONS']);
  });
});

describe('streams', () => {
  it('are answered with a pong and stay open', async () => {
    await start({});
    const caller = await tcpCaller();
    caller.peer.send('\r\n\r\n');
    expect((await caller.peer.next()).text).toBe('\r\n');
    const request = caller.request('OPTIONS', 1);
    caller.peer.send(`\r\n${request.slice(0, 50)}`);
    caller.peer.send(request.slice(50) + caller.request('OPTIONS', 2));
    const answers = [await caller.peer.final(), await caller.peer.final()];
    expect(answers.map((answer) => answer.header('cseq')[0])).toEqual(['1 OPTIONS', '2 OPTIONS']);
  });

  it('are closed when they are not SIP, or without end', async () => {
    await start({});
    for (const junk of [
      'GET / HTTP/1.1\r\n\r\n',
      'x'.repeat(40_000),
      'OPTIONS sip:a@b SIP/2.0\r\nl: 999999\r\n\r\n',
    ]) {
      const socket = connect(addressOf(server, 'tcp').port, '127.0.0.1');
      socket.write(junk);
      socket.resume();
      await once(socket, 'close');
    }
    expect(server.counters().connections).toBe(0);
  });
});

describe('junk datagrams', () => {
  it('are ignored, keep-alives and empty ones too', async () => {
    await start({});
    const caller = await udpCaller();
    for (const junk of ['', '\r\n\r\n', '\0\0\0\0', 'hello', '\r\n', 'SIP/2.0\r\n\r\n'])
      caller.peer.send(junk);
    caller.peer.send(caller.request('OPTIONS', 1));
    expect((await caller.peer.next()).status).toBe(200);
    expect(server.counters().responsesOut).toBe(1);
  });
});

describe('requests that go nowhere', () => {
  it('are refused as RFC 3261 section 8.2 has it, counted, and logged with their Call-ID', async () => {
    const lines: object[] = [];
    const info = (fields: object, msg: string): void => void lines.push({ msg, ...fields });
    const none = (): void => undefined;
    const log = { debug: none, info, warn: none, error: none };
    await start({ log }, (app) => app.invite((_req, res) => res.send(486)));
    const caller = await udpCaller();
    const status = async (text: string): Promise<number> => {
      caller.peer.send(text);
      return (await caller.peer.final()).status;
    };
    expect(await status(caller.request('REGISTER', 1))).toBe(405);
    expect(await status(caller.request('DANCE', 2))).toBe(501);
    expect(await status(caller.request('BYE', 3))).toBe(481);
    expect(await status(caller.request('CANCEL', 4))).toBe(481);
    caller.toTag = 'unknown';
    expect(await status(caller.request('INFO', 5))).toBe(481);
    expect(await status(caller.request('INVITE', 6, { body: SDP }))).toBe(481);
    caller.toTag = '';
    const headers = ['Session-Expires: 30', 'Supported: timer'];
    expect(await status(caller.request('INVITE', 7, { headers, body: SDP }))).toBe(422);
    // The application's refusals are its own.
    expect(await status(caller.request('INVITE', 8, { body: SDP }))).toBe(486);
    const refused = { refusedMethod: 2, refusedInterval: 1, refusedUnknownCall: 4, refusedOther: 0 };
    expect(server.counters()).toMatchObject(refused);
    const line = { msg: 'a request was refused', callId: caller.callId, peer: '127.0.0.1' };
    expect(lines.filter((logged) => 'status' in logged)).toMatchObject(
      [405, 501, 481, 481, 481, 481, 422].map((code) => ({ ...line, status: code })),
    );
  });

  it('of which there are too many have no line each, but are counted', async () => {
    let lines = 0;
    const none = (): void => undefined;
    await start({ log: { debug: none, info: () => (lines += 1), warn: none, error: none } });
    const caller = await udpCaller();
    for (let i = 1; i <= 150; i += 1) {
      caller.peer.send(caller.request('DANCE', i));
      await caller.peer.final();
    }
    expect(server.counters().refusedMethod).toBe(150);
    expect(lines).toBeGreaterThanOrEqual(100);
    expect(lines).toBeLessThan(150);
  });

  it('and came twice by different ways are refused as merged', async () => {
    await start({}, (app) => app.invite((_req, res) => res.send(180)));
    const caller = await udpCaller();
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    await caller.peer.next(({ status }) => status === 180);
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    expect((await caller.peer.final()).status).toBe(482);
  });

  it('are 503 without any application', async () => {
    server = await testServer();
    const caller = await udpCaller();
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    expect((await caller.peer.final()).status).toBe(503);
  });
});
