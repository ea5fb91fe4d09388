import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RawClient } from '../../src/devices/browser/testing/raw-client.js';
import type { ClientPage } from '../support/chromium.js';
import { residentMiB } from '../support/resident-memory.js';
import type { TestParticipant } from '../support/rest.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

/** How much memory (MiB) an attack may leave occupied: garbage that is not collected yet, but no more. */
const MAX_GROWTH_MIB = 200;

const MEBIBYTE = 1024 * 1024;

/** SDPs of nearly 1 MiB as JSON, each with very many parts of one kind. */
const HUGE_SDPS = {
  'one line': 'a'.repeat(MEBIBYTE - 300),
  'm-lines': 'm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n'.repeat(27_000),
  formats: `v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF${' 111'.repeat(250_000)}\r\n`,
  attributes: `v=0\r\nm=audio 9 X 0\r\n${'a=rtpmap:111 opus/48000/2\r\n'.repeat(33_000)}`,
  spaces: `v=0\r\nm=audio 9 X 0\r\na=ssrc:1${' '.repeat(MEBIBYTE - 300)}\r\n`,
  sources: `v=0\r\nm=audio 9 X 0\r\n${'a=ssrc:1 msid:a b\r\n'.repeat(45_000)}`,
};

const stage = useStage();
let session: string;
let listener: ClientPage;
let heard: string;
let memoryBefore: number;

/** Two participants who talk, undisturbed. */
beforeEach(async () => {
  session = await stage.rest.session();
  const gatewayUrl = stage.gateway.wsUrl;
  const [speaking, listening] = [await stage.rest.member(session), await stage.rest.member(session)];
  const only = { sessionId: session, participants: [{ participantId: speaking.id }] };
  await stage.rest.subscribe(session, listening.id, only);
  const speaker = await stage.chrome.openClient({ token: speaking.token, gatewayUrl });
  listener = await stage.chrome.openClient({ client: '0.9', token: listening.token, gatewayUrl });
  await speaker.publishTone(440);
  heard = (await listener.hears(440)).streamId;
  memoryBefore = residentMiB(stage.gateway.pid);
});

/** They still talk by the same stream, without a gap of seconds; the gateway still runs and uses no more memory. */
afterEach(async () => {
  const packets = async (): Promise<number> => (await listener.counters(heard)).audio!.packetsReceived;
  const before = await packets();
  await until('audio that goes on', async () => (await packets()) >= before + 25, { withinMs: 20_000 });
  await listener.hears(440, { streamId: heard });
  expect((await listener.counters(heard)).audio!.packetsLost).toBeLessThan(50);
  expect((await listener.events()).map(({ type }) => type)).toEqual(['available']);
  const faults = stage.gateway.log.filter(({ level }) => (level ?? 0) >= 50);
  expect(faults).toEqual([]);
  expect(residentMiB(stage.gateway.pid) - memoryBefore).toBeLessThan(MAX_GROWTH_MIB);
});

function socketUrl({ token }: TestParticipant, uniqueId: string): string {
  const query = new URLSearchParams({ token, client: 'browser', sdkVersion: '0.12.0-beta.1', uniqueId });
  return `${stage.gateway.wsUrl}/v3/?${query.toString()}`;
}

async function attacker(uniqueId = 'attacker'): Promise<RawClient> {
  const client = await RawClient.open(socketUrl(await stage.rest.member(session), uniqueId));
  await client.call('setMediaPreferences', { protocol: 'WEBRTC' });
  return client;
}

/** Sockets refused so far for a reason, by the metrics. */
async function refusals(reason: string): Promise<number> {
  const metrics = await (await fetch(`${stage.gateway.httpUrl}/metrics`)).text();
  return Number(new RegExp(`browser_refusals_total{reason="${reason}"} (\\d+)`).exec(metrics)![1]);
}

describe('a gateway under attack goes on for everyone else', () => {
  it('by a flood of messages: the socket is closed', async () => {
    const client = await attacker();
    for (let i = 0; i < 5_000; i += 1) client.notify('deviceDiagnostics', { logs: ['x'.repeat(500)] });
    expect((await client.closed).code).toBe(1008);
    expect(await refusals('abuse')).toBeGreaterThan(0);
  });

  it('by a flood of offers: those too many are refused', async () => {
    const client = await attacker();
    const sdpOffer = 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n';
    const answers = Array.from({ length: 150 }, () =>
      client.call('offerSdp', { sdpOffer, mediaMetadata: {} }),
    );
    const codes = (await Promise.all(answers)).map(
      ({ error }) => (error as { code: number } | undefined)?.code,
    );
    expect(codes.filter((code) => code === -32001).length).toBeGreaterThan(100);
    client.close();
  });

  it('by SDPs of 1 MiB: each is refused', async () => {
    const client = await attacker();
    for (const [what, sdpOffer] of Object.entries(HUGE_SDPS)) {
      expect(sdpOffer.length, what).toBeGreaterThan(0.8 * MEBIBYTE);
      expect(await client.call('offerSdp', { sdpOffer, mediaMetadata: {} }), what).toHaveProperty('error');
    }
    client.close();
  });

  it('by a message of more than 1 MiB: the socket is closed', async () => {
    const client = await attacker();
    client.send({ jsonrpc: '2.0', id: 5, method: 'offerSdp', params: { sdpOffer: 'a'.repeat(MEBIBYTE) } });
    expect((await client.closed).code).toBe(1009);
  });

  it('by false RTP and RTCP, from peers that claim the same sources', async () => {
    const { wsUrl } = stage.gateway;
    const attack = async (kind: string, count: number, seed: number): Promise<number> => {
      const { token } = await stage.rest.member(session);
      const args = [
        '--import',
        'tsx',
        'test/support/attack/peer.ts',
        wsUrl,
        token,
        kind,
        String(count),
        String(seed),
      ];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 40_000 });
      return (JSON.parse(stdout) as { sent: number }).sent;
    };
    const sent = await Promise.all([attack('wild', 10_000, 1), attack('wild', 10_000, 2)]);
    for (const packets of sent) expect(packets).toBeGreaterThan(5_000);
    expect(await attack('sources', 12_000, 3)).toBeGreaterThan(4_096);
    await stage.gateway.waitForLog(({ msg }) => msg === 'A WebRTC transport brought too many sources');
  });

  it('by a flood of sockets: those too many are refused, and the others are served again', async () => {
    const guest = await stage.rest.member(session);
    const before = await refusals('too_many');
    const clients = Array.from({ length: 600 }, () => new RawClient(socketUrl(guest, 'flood')));
    const refused = until('refusals', async () => (await refusals('too_many')) > before + 100, {
      withinMs: 20_000,
    });
    await refused;
    for (const client of clients) client.close();
    const { token } = await stage.rest.member(session);
    const page = await stage.chrome.openPage();
    // The client tries again each second, until the flood has ended.
    await page.connect({ token, gatewayUrl: stage.gateway.wsUrl }, 15_000);
  });
});
