import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readMetrics } from '../support/metrics.js';
import { AudioProgram } from '../support/program.js';
import { DEVELOPMENT_ACCOUNT, type TestParticipant } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

/** Tones of the phones, of prompts and of the fixtures, in Hz. */
const [ANN, BOB, PROMPT, SECOND, FIXTURE] = [600, 760, 1_320, 1_800, 440];
/** What else is heard is lowered by at least so much, in dB. */
const LOWERED_BY = 6;
const RATE = 16_000;

const stage = useStage({ env: { PATCHBAY_MEDIA_HOSTS: '2' } });
let webhooks: WebhookReceiver;
let files: Server;
/** Paths that were asked for. */
const asked: string[] = [];

beforeAll(async () => {
  webhooks = await WebhookReceiver.start();
  files = createServer(({ url = '' }, response) => {
    asked.push(url);
    if (url.startsWith('/tone-440')) response.end(readFileSync(`test/fixtures${url}`));
    else if (url === '/page') response.end('<html></html>');
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  await upload('prompt.wav', wav([PROMPT, 3]));
});
afterAll(() => {
  webhooks.close();
  files.close();
});

const at = (path: string): string => `http://127.0.0.1:${(files.address() as AddressInfo).port}${path}`;

/** A WAV file of tones after one another. */
function wav(...tones: readonly (readonly [hz: number, seconds: number])[]): Buffer {
  const samples = tones.flatMap(([hz, seconds]) =>
    Array.from({ length: seconds * RATE }, (_, i) => 8_000 * Math.sin((2 * Math.PI * hz * i) / RATE)),
  );
  const file = Buffer.alloc(44 + 2 * samples.length);
  file.write('RIFF', 0);
  file.writeUInt32LE(file.length - 8, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE, 24);
  file.writeUInt32LE(2 * RATE, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36);
  file.writeUInt32LE(2 * samples.length, 40);
  for (const [i, sample] of samples.entries()) file.writeInt16LE(Math.round(sample), 44 + 2 * i);
  return file;
}

async function upload(name: string, file: Buffer): Promise<Response> {
  const { id, user, password } = DEVELOPMENT_ACCOUNT;
  return fetch(`${stage.gateway.httpUrl}/v1/accounts/${id}/media/${name}`, {
    method: 'PUT',
    headers: {
      authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      'content-type': 'audio/wav',
    },
    body: file,
  });
}

const play = (path: string, body: object): Promise<unknown> =>
  stage.rest.request('PUT', `${path}/media`, { mediaState: 'PLAYING', ...body });
const stop = (path: string): Promise<unknown> =>
  stage.rest.request('PUT', `${path}/media`, { mediaState: 'STOPPED' });
const pathOf = (session: string, { id }: TestParticipant): string =>
  `/sessions/${session}/participants/${id}`;

async function withCalls(
  participants: readonly [TestParticipant, number][],
  test: (...calls: SippCall[]) => Promise<void>,
): Promise<void> {
  const calls: SippCall[] = [];
  try {
    for (const [{ token }, tone] of participants)
      calls.push(await placeCall({ sipPort: stage.gateway.sipPort, token, tone, limitS: 120 }));
    await test(...calls);
    await Promise.all(calls.map((call) => call.hangUp()));
  } finally {
    await Promise.all(calls.map((call) => call.end()));
  }
}

/** The level of a tone once it does not change any more. */
async function steadyLevel({ tones }: SippCall, hz: number): Promise<number> {
  const levels: number[] = [];
  const isSteady = (): boolean => {
    levels.push(tones.level(hz));
    const latest = levels.slice(-10);
    return latest.length === 10 && Math.max(...latest) - Math.min(...latest) < 0.5;
  };
  await until('a steady tone', isSteady, { withinMs: 20_000, everyMs: 30 });
  return levels.at(-1)!;
}

const statesOf = ({ id }: TestParticipant): (string | undefined)[] =>
  webhooks.received
    .filter(({ event, participantId }) => event === 'onAnnouncement' && participantId === id)
    .map(({ state, cause }) => (cause === undefined ? state : `${state ?? ''}: ${cause}`));

it('plays a prompt to one phone, with all else lowered, from WAV, MP3 and Ogg Opus', async () => {
  const { rest } = stage;
  const session = await rest.session();
  const asks = { callbackUrl: webhooks.url, events: ['announcement'] as const };
  const [ann, bob] = [await rest.member(session, asks), await rest.member(session)];
  await withCalls(
    [
      [ann, ANN],
      [bob, BOB],
    ],
    async (annCall, bobCall) => {
      await annCall.tones.hears(BOB);
      await bobCall.tones.hears(ANN);
      const before = await steadyLevel(annCall, BOB);
      const lowered = () => annCall.tones.level(BOB) < before - LOWERED_BY;
      await play(pathOf(session, ann), { mediaUrl: 'media:prompt.wav', loop: true });
      await annCall.tones.hears(PROMPT);
      await until('the other phone lowered', lowered, {
        withinMs: 20_000,
        everyMs: 20,
        seen: () => Promise.resolve({ before, now: annCall.tones.level(BOB) }),
      });
      await expect.poll(() => statesOf(ann)).toEqual(['STARTED']);
      expect(bobCall.tones.level(PROMPT)).toBeLessThan(-50);
      await stop(pathOf(session, ann));
      await annCall.tones.stopsHearing(PROMPT);
      await until('the other phone as before', () => annCall.tones.level(BOB) > before - 2, {
        withinMs: 20_000,
        everyMs: 20,
      });
      for (const name of ['tone-440.mp3', 'tone-440.opus']) {
        await play(pathOf(session, ann), { mediaUrl: at(`/${name}`), loop: true });
        await annCall.tones.hears(FIXTURE);
        await stop(pathOf(session, ann));
        await annCall.tones.stopsHearing(FIXTURE);
      }
      expect(bobCall.tones.level(FIXTURE)).toBeLessThan(-50);
      expect(asked).toEqual(['/tone-440.mp3', '/tone-440.opus']);

      // The whole session, and a part of it that is in no session any more.
      const bot = await AudioProgram.connect(stage.gateway.wsUrl, (await rest.member(session)).token);
      await play(`/sessions/${session}`, { mediaUrl: 'media:prompt.wav', loop: true });
      await bot.hears(PROMPT);
      bot.cut();
      await Promise.all([annCall, bobCall].map((call) => call.tones.hears(PROMPT)));
      await rest.leave(session, ann.id);
      await annCall.tones.stopsHearing(PROMPT);
      await play(`/participants/${ann.id}`, { mediaUrl: 'media:prompt.wav', loop: true });
      await annCall.tones.hears(PROMPT);
    },
  );
  const metrics = await readMetrics(stage.gateway);
  expect(metrics.get('patchbay_sounds_decoded_total')).toBe(3);
});

it('plays a prompt to a page from its beginning, as a stream of its own, to its end', async () => {
  const { rest, chrome, gateway } = stage;
  await upload('two.wav', wav([PROMPT, 1.5], [SECOND, 1.5]));
  const session = await rest.session();
  const asks = { callbackUrl: webhooks.url, events: ['announcement'] as const };
  const ann = await rest.member(session, asks);
  const page = await chrome.openClient({ gatewayUrl: gateway.wsUrl, token: ann.token });
  await play(pathOf(session, ann), { mediaUrl: 'media:two.wav' });
  const own = { participantId: ann.id, alias: 'announcement' };
  await page.hears(PROMPT, own);
  await page.hears(SECOND, own);
  await page.loses(own);
  await expect.poll(() => statesOf(ann)).toEqual(['STARTED', 'ENDED']);
  expect(await rest.request('GET', `${pathOf(session, ann)}/media`)).toMatchObject({
    mediaState: 'STOPPED',
    state: 'ENDED',
  });
});

it('plays music to a phone that waits, until somebody is heard, and a tone for who comes and goes', async () => {
  const { rest, chrome, gateway } = stage;
  const created = await rest.request('POST', '/sessions', {
    waitingMusic: { mediaUrl: 'media:prompt.wav', when: ['alone', 'nobody-publishes'] },
    joinTones: true,
  });
  const session = (created as { id: string }).id;
  const [ann, bob] = [await rest.member(session), await rest.member(session)];
  await withCalls([[ann, ANN]], async (call) => {
    await call.tones.hears(PROMPT);
    const joinedAt = performance.now();
    const page = await chrome.openClient({ gatewayUrl: gateway.wsUrl, token: bob.token });
    await until('the tone', () => call.tones.packetsSince(joinedAt, 783.99).with >= 3, { withinMs: 20_000 });
    expect((await rest.device(bob.id)).kind).toBe('browser');
    expect(call.tones.level(PROMPT)).toBeGreaterThan(-50);
    await page.publishTone(BOB);
    await call.tones.hears(BOB);
    await call.tones.stopsHearing(PROMPT);
    const leftAt = performance.now();
    await page.disconnect();
    await until('the tone', () => call.tones.packetsSince(leftAt, 523.25).with >= 3, { withinMs: 20_000 });
    await call.tones.hears(PROMPT);
  });
});

it('refuses what cannot be played, or tells why it failed, and plays nothing of it', async () => {
  const { rest } = stage;
  const bad = await upload('bad.wav', Buffer.from('RIFF no sound'));
  expect([bad.status, await bad.json()]).toMatchObject([400, { reason: 'PATCHBAY_BAD_MEDIA' }]);
  expect((await upload('a%2Fb', Buffer.from('x'))).status).toBe(400);
  expect((await upload('large.wav', Buffer.alloc(21 * 1_048_576))).status).toBe(413);
  const session = await rest.session();
  const asks = { callbackUrl: webhooks.url, events: ['announcement'] as const };
  const ann = await rest.member(session, asks);
  const path = pathOf(session, ann);
  await expect(play(path, { mediaUrl: 'media:prompt.wav' })).rejects.toThrow(
    /404.*PATCHBAY_DEVICE_NOT_FOUND/,
  );
  await withCalls([[ann, ANN]], async (call) => {
    for (const mediaUrl of ['media:missing', 'ftp://127.0.0.1/a', 'http://169.254.169.254/latest'])
      await expect(play(path, { mediaUrl })).rejects.toThrow(/: 40[04]/);
    await play(path, { mediaUrl: at('/missing') });
    await expect.poll(() => statesOf(ann)).toEqual(['FAILED: The server answered 404.']);
    await play(path, { mediaUrl: at('/page') });
    await expect
      .poll(() => statesOf(ann).at(-1))
      .toBe('FAILED: The file is neither WAV nor Ogg Opus nor MP3.');
    expect(call.tones.loudness()).toBeLessThan(-60);
  });
});
