import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.js';
import { failedStart, startGateway } from '../support/gateway.js';
import { freeTcpPort } from '../support/ports.js';

/** Of TEST-NET-1 (RFC 5737): no machine has it. */
const NOBODYS = '192.0.2.1';

// They wait for gateways to start, so they run at the same time.
describe.concurrent("an operator's mistake", () => {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-start-mistakes-'));
  const [one, other] = [makeCertificate(), makeCertificate()];
  let tcp: Server;
  let udp: Socket;
  let taken: { tcp: string; udp: string };

  beforeAll(async () => {
    tcp = createServer().listen(0, '127.0.0.1');
    udp = createSocket('udp4').bind(0, '127.0.0.1');
    await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
    taken = { tcp: String((tcp.address() as { port: number }).port), udp: String(udp.address().port) };
    writeFileSync(join(folder, 'no.pem'), 'no certificate');
  });

  afterAll(() => {
    tcp.close();
    udp.close();
    for (const { remove } of [one, other]) remove();
    rmSync(folder, { recursive: true });
  });

  it.each<[string, number, () => Record<string, string>, RegExp]>([
    [
      'a mistyped name',
      2,
      () => ({ PATCHBAY_HTP_PORT: '1' }),
      /PATCHBAY_HTP_PORT: .*did you mean PATCHBAY_HTTP_PORT/,
    ],
    [
      'a public address that is none',
      2,
      () => ({ PATCHBAY_PUBLIC_IP: 'sip:x' }),
      /PATCHBAY_PUBLIC_IP: neither an IP/,
    ],
    [
      'a name nobody knows',
      1,
      () => ({ PATCHBAY_PUBLIC_IP: 'no.invalid' }),
      /PATCHBAY_PUBLIC_IP: no address is found for the name no\.invalid/,
    ],
    [
      'HTTP port taken',
      1,
      () => ({ PATCHBAY_HTTP_PORT: taken.tcp }),
      /PATCHBAY_HTTP_PORT: another program uses port \d+ of 127\.0\.0\.1/,
    ],
    [
      'SIP port taken',
      1,
      () => ({ PATCHBAY_SIP_PORT: taken.udp }),
      /PATCHBAY_SIP_PORT: another program uses port/,
    ],
    [
      'WebRTC port taken',
      1,
      () => ({ PATCHBAY_WEBRTC_PORT: taken.udp, PATCHBAY_MEDIA_HOSTS: '1' }),
      /PATCHBAY_WEBRTC_PORT: another program uses port/,
    ],
    [
      'TLS port taken',
      1,
      () => ({
        PATCHBAY_SIP_TLS_PORT: taken.tcp,
        PATCHBAY_SIP_TLS_CERT: one.certFile,
        PATCHBAY_SIP_TLS_KEY: one.keyFile,
      }),
      /PATCHBAY_SIP_TLS_PORT: another program/,
    ],
    ...(['HTTP', 'SIP', 'RTP', 'WEBRTC'] as const).map(
      (part): [string, number, () => Record<string, string>, RegExp] => [
        `an address of others for ${part}`,
        1,
        () => ({ [`PATCHBAY_${part}_HOST`]: NOBODYS }),
        new RegExp(`PATCHBAY_${part}_HOST: this machine has no address 192\\.0\\.2\\.1`),
      ],
    ),
    [
      'a certificate that is missing',
      1,
      () => ({ PATCHBAY_SIP_TLS_CERT: '/no/cert.pem', PATCHBAY_SIP_TLS_KEY: one.keyFile }),
      /PATCHBAY_SIP_TLS_CERT: the file cannot be read: ENOENT/,
    ],
    [
      'waiting music that is missing',
      1,
      () => ({ PATCHBAY_WAITING_MUSIC: '/no/music.mp3' }),
      /PATCHBAY_WAITING_MUSIC: \/no\/music\.mp3 cannot be read: .*ENOENT/,
    ],
    [
      'a certificate that is none',
      1,
      () => ({ PATCHBAY_SIP_TLS_CERT: join(folder, 'no.pem'), PATCHBAY_SIP_TLS_KEY: one.keyFile }),
      /PATCHBAY_SIP_TLS_CERT: .*no\.pem cannot be used/,
    ],
    [
      'a key of another certificate',
      1,
      () => ({ PATCHBAY_SIP_TLS_CERT: one.certFile, PATCHBAY_SIP_TLS_KEY: other.keyFile }),
      /PATCHBAY_SIP_TLS_KEY: .*cannot be used: .*mismatch/,
    ],
  ])('is named: %s', async (what, code, env, words) => {
    const failed = await failedStart({ dataDir: join(folder, what.replaceAll(' ', '-')), env: env() });
    expect(failed.words).toMatch(words);
    // Words, not a stack.
    expect(failed.words).not.toMatch(/\n\s+at |"stack"/);
    expect(failed.code).toBe(code);
  });

  it('in the secret of a drachtio-server is told in the log, and the gateway goes on trying', async () => {
    const port = await freeTcpPort();
    const server = await startGateway({ env: { PATCHBAY_SIP_APPS: `127.0.0.1:${port}:right` } });
    const gateway = await startGateway({ env: { PATCHBAY_DRACHTIO: `127.0.0.1:${port}:wrong` } });
    const said = await gateway.waitForLog(({ trouble }) => String(trouble).includes('The secret is wrong'));
    expect(said).toMatchObject({ sipServer: `127.0.0.1:${port}` });
    expect(said['trouble']).toMatch(/PATCHBAY_DRACHTIO must have the secret of drachtio\.conf\.xml/);
    await Promise.all([gateway.stop(), server.stop()]);
  });
});
