import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type Srf from 'drachtio-srf';
import { afterEach, describe, expect, it } from 'vitest';
import type { SipServer, TlsPeerOptions } from './index.js';
import { Caller, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../test/support/sip-server.js';

let server: SipServer;
const cleanups: (() => void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await server.stop();
});

async function app(prepare: (app: Srf) => void): Promise<void> {
  const srf = await connectApp(server, prepare);
  cleanups.push(() => srf.disconnect());
}

/** A self-signed certificate, made for this run. */
function certificate(names = 'DNS:localhost'): { cert: Buffer; key: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), 'sip-tls-'));
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`, '-days', '2'];
  const options = { stdio: 'ignore' as const };
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject], options);
  const pair = { cert: readFileSync(join(folder, 'cert.pem')), key: readFileSync(join(folder, 'key.pem')) };
  rmSync(folder, { recursive: true });
  return pair;
}

describe('TLS', () => {
  it('carries a call, with the right transport in Via and Contact', async () => {
    const tls = certificate();
    server = await testServer({ listeners: [{ transport: 'tls', host: '127.0.0.1', port: 0, tls }] });
    await app((srf) => srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: SDP })));
    const socket = connectTls({
      port: addressOf(server, 'tls').port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    const caller = new Caller(SipPeer.stream(socket), 'TLS');
    cleanups.push(() => caller.peer.close());
    caller.peer.send(caller.request('INVITE', 1, { body: SDP }));
    const ok = await caller.peer.final();
    expect(ok.header('contact')[0]).toContain(';transport=tls');
    caller.learn(ok);
    caller.peer.send(caller.request('ACK', 1));
    caller.peer.send(caller.request('BYE', 2));
    expect((await caller.peer.final()).status).toBe(200);
  });
});

describe('a TLS handshake', () => {
  it('that is never finished counts, and gives way to one that is', async () => {
    const tls = certificate();
    const listeners = [{ transport: 'tls' as const, host: '127.0.0.1', port: 0, tls }];
    server = await testServer({ listeners, limits: { maxConnectionsPerAddress: 2 } });
    const { port } = addressOf(server, 'tls');
    const [first, second] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
    cleanups.push(() => second.destroy());
    await expect.poll(() => server.counters().connections).toBe(2);
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await Promise.all([once(socket, 'secureConnect'), once(first.resume(), 'close')]);
    const caller = new Caller(SipPeer.stream(socket), 'TLS');
    caller.peer.send(caller.request('OPTIONS', 1));
    expect((await caller.peer.final()).status).toBe(200);
    expect(server.counters()).toMatchObject({ connections: 2, closedForRoom: 1 });
    caller.peer.close();
    await expect.poll(() => server.counters().connections).toBe(1);
  });

  it('that is never finished is given up after the time for a first message', async () => {
    const listeners = [{ transport: 'tls' as const, host: '127.0.0.1', port: 0, tls: certificate() }];
    server = await testServer({ listeners, limits: { firstMessageMs: 200 } });
    const socket = connect(addressOf(server, 'tls').port, '127.0.0.1');
    await once(socket.resume(), 'close');
    await expect.poll(() => server.counters()).toMatchObject({ connections: 0, closedSilent: 1 });
  });

  it('that is never finished does not keep the server from stopping', async () => {
    const listeners = [{ transport: 'tls' as const, host: '127.0.0.1', port: 0, tls: certificate() }];
    server = await testServer({ listeners });
    const socket = connect(addressOf(server, 'tls').port, '127.0.0.1');
    await expect.poll(() => server.counters().connections).toBe(1);
    const late = sleep(5_000, 'late', { ref: false });
    expect(await Promise.race([server.stop(), late])).not.toBe('late');
    socket.destroy();
  });
});

describe('a TLS connection that the server opens', () => {
  /** Sends OPTIONS to a TLS peer with that certificate; resolves with the status that the application sees. */
  async function ask(
    host: string,
    peer: { cert: Buffer; key: Buffer },
    tlsPeers?: TlsPeerOptions,
  ): Promise<number> {
    const own = certificate();
    const listeners = [{ transport: 'tls' as const, host: '127.0.0.1', port: 0, tls: own }];
    server = await testServer({ listeners, tlsPeers });
    const listener = createTlsServer(peer, (socket) => {
      const phone = SipPeer.stream(socket);
      cleanups.push(() => phone.close());
      void phone.next().then((request) => {
        const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map(
          (name) => `${name}: ${request.header(name)[0]!}`,
        );
        phone.send(['SIP/2.0 200 OK', ...echo, 'Content-Length: 0', '', ''].join('\r\n'));
      });
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    cleanups.push(() => listener.close());
    const srf = await connectApp(server, () => undefined);
    cleanups.push(() => srf.disconnect());
    const { port } = listener.address() as AddressInfo;
    const app = srf as unknown as { request(uri: string, opts: object): Promise<NodeJS.EventEmitter> };
    const request = await app.request(`sip:${host}:${port};transport=tls`, { method: 'OPTIONS' });
    const [response] = (await once(request, 'response')) as [Srf.SrfResponse];
    return response.status;
  }

  it('is given up when nobody known vouches for the peer', async () => {
    expect(await ask('127.0.0.1', certificate('IP:127.0.0.1'))).toBe(503);
  });

  it('is used when a configured authority vouches for the host of the URI, by name, address or SIP domain', async () => {
    for (const [host, names] of [
      ['127.0.0.1', 'IP:127.0.0.1'],
      ['localhost', 'DNS:localhost'],
      ['localhost', 'URI:sip:localhost'],
    ] as const) {
      const peer = certificate(names);
      expect(await ask(host, peer, { verify: true, ca: peer.cert })).toBe(200);
      for (const cleanup of cleanups.splice(0)) cleanup();
      await server.stop();
    }
  }, 30_000);

  it('is given up when the certificate is for somebody else', async () => {
    const peer = certificate('DNS:other.example');
    expect(await ask('localhost', peer, { verify: true, ca: peer.cert })).toBe(503);
  });

  it('is used with any certificate when told not to verify', async () => {
    expect(await ask('127.0.0.1', certificate('DNS:other.example'), { verify: false })).toBe(200);
  });
});

describe('IPv6', () => {
  it('carries a call, addresses in brackets', async () => {
    const listeners = [{ transport: 'udp' as const, host: '::1', port: 0 }];
    server = await testServer({ listeners });
    const seen: Srf.SrfRequest[] = [];
    await app((srf) =>
      srf.invite((req, res) => {
        seen.push(req);
        void srf.createUAS(req, res, { localSdp: SDP });
      }),
    );
    const peer = await SipPeer.udp(addressOf(server, 'udp'), '::1');
    cleanups.push(() => peer.close());
    const caller = new Caller(peer, 'UDP', '[::1]');
    peer.send(caller.request('INVITE', 1, { body: SDP }));
    const ok = await caller.peer.final();
    expect(ok.header('contact')[0]).toBe(`<sip:[::1]:${addressOf(server, 'udp').port}>`);
    expect(seen[0]?.source_address).toBe('::1');
    caller.learn(ok);
    caller.peer.send(caller.request('ACK', 1));
    caller.peer.send(caller.request('BYE', 2));
    expect((await caller.peer.final()).status).toBe(200);
  });
});

describe('responses', () => {
  it('go to the port of Via when rport is not asked for, with received (RFC 3261 section 18.2.2)', async () => {
    server = await testServer();
    const listener = createSocket('udp4');
    listener.bind(0, '127.0.0.1');
    await once(listener, 'listening');
    cleanups.push(() => listener.close());
    const peer = await SipPeer.udp(addressOf(server, 'udp'));
    cleanups.push(() => peer.close());
    const heard = once(listener, 'message');
    const text = new Caller(peer).request('OPTIONS', 1);
    peer.send(
      text.replace(
        /^Via:.*$/m,
        `Via: SIP/2.0/UDP elsewhere.example:${listener.address().port};branch=z9hG4bKx`,
      ),
    );
    const [bytes] = (await heard) as [Buffer];
    expect(bytes.toString()).toContain(';received=127.0.0.1');
    expect(peer.heard).toHaveLength(0);
  });
});

describe('a public address', () => {
  it('is announced in Contact', async () => {
    server = await testServer({ publicIp: '198.51.100.7' });
    await app((srf) => srf.invite((req, res) => void srf.createUAS(req, res, { localSdp: SDP })));
    const peer = await SipPeer.udp(addressOf(server, 'udp'));
    cleanups.push(() => peer.close());
    const caller = new Caller(peer);
    peer.send(caller.request('INVITE', 1, { body: SDP }));
    const ok = await peer.final();
    expect(ok.header('contact')).toEqual([`<sip:198.51.100.7:${addressOf(server, 'udp').port}>`]);
    caller.learn(ok);
    peer.send(caller.request('ACK', 1));
  });
});

describe('UDP and TCP', () => {
  it('share a port when any free one will do', async () => {
    server = await testServer();
    expect(addressOf(server, 'tcp').port).toBe(addressOf(server, 'udp').port);
  });
});

describe('capture', () => {
  it('sends every message to Homer, without tokens', async () => {
    const homer = createSocket('udp4');
    homer.bind(0, '127.0.0.1');
    await once(homer, 'listening');
    cleanups.push(() => homer.close());
    const captured: Buffer[] = [];
    homer.on('message', (bytes) => captured.push(bytes));
    const capture = { host: '127.0.0.1', port: homer.address().port, agentId: 2001, password: 'myHep' };
    server = await testServer({ capture });
    const peer = await SipPeer.udp(addressOf(server, 'udp'));
    cleanups.push(() => peer.close());
    peer.send(new Caller(peer).request('OPTIONS', 1, { headers: ['User-to-User: secret;encoding=ascii'] }));
    await expect.poll(() => captured.length).toBe(2);
    const [request, response] = captured;
    expect(request?.toString('latin1', 0, 4)).toBe('HEP3');
    expect(request?.readUInt16BE(4)).toBe(request?.length);
    expect(request?.toString()).toContain('User-to-User: ***');
    expect(Buffer.concat(captured).toString()).not.toContain('secret');
    expect(response?.toString()).toContain('SIP/2.0 200 OK');
  });
});

describe('capture of quality', () => {
  it('sends a report to Homer with the Call-ID of its call', async () => {
    const homer = createSocket('udp4');
    homer.bind(0, '127.0.0.1');
    await once(homer, 'listening');
    cleanups.push(() => homer.close());
    const captured: Buffer[] = [];
    homer.on('message', (bytes) => captured.push(bytes));
    server = await testServer({ capture: { host: '127.0.0.1', port: homer.address().port, agentId: 1 } });
    server.captureQuality('call-1@phone', { MOS: 4.1 });
    await expect.poll(() => captured.length).toBe(1);
    const report = captured[0]!.toString('latin1');
    // Type 34: a report in JSON; chunk 17: what it belongs to.
    expect(report).toContain('\0\0\0\x0b\0\x07\x22');
    expect(report).toContain('\0\0\0\x11\0\x12call-1@phone');
    expect(report).toContain('{"MOS":4.1}');
  });
});

describe('the log', () => {
  it('shows every message at debug level, without tokens', async () => {
    const lines: { direction?: string; sip?: string }[] = [];
    const ignore = (): void => undefined;
    const log = {
      debug: (fields: object) => void lines.push(fields),
      info: ignore,
      warn: ignore,
      error: ignore,
    };
    server = await testServer({ log });
    const peer = await SipPeer.udp(addressOf(server, 'udp'));
    cleanups.push(() => peer.close());
    peer.send(new Caller(peer).request('OPTIONS', 1, { headers: ['X-Participant-Token: secret'] }));
    await peer.final();
    const messages = lines.filter(({ sip }) => sip !== undefined);
    expect(messages.map(({ direction }) => direction)).toEqual(['in', 'out']);
    expect(messages[0]?.sip).toContain('X-Participant-Token: ***');
    expect(JSON.stringify(lines)).not.toContain('secret');
  });
});
