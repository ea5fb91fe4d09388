import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PatchbayError } from '../core/index.js';
import { TestDevice } from './testing/device.js';
import { ACCOUNT, NO_MEDIA, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
/** What the media library was told. */
const told: unknown[] = [];
let session: string;
let member: string;

beforeAll(async () => {
  const playing = { mediaState: 'PLAYING', state: 'LOADING', announcementId: 'a' } as const;
  gateway = await startApi({
    media: {
      ...NO_MEDIA,
      check: (account, mediaUrl) => {
        told.push(['check', account, mediaUrl]);
        if (mediaUrl === 'media:missing') throw new PatchbayError('PATCHBAY_MEDIA_NOT_FOUND', 'missing');
      },
      play: (account, audience, request) => {
        told.push(['play', account, audience, request]);
        return playing;
      },
      stop: (account, audience) => {
        told.push(['stop', account, audience]);
        return { mediaState: 'STOPPED' };
      },
      uploads: () => [{ name: 'a.wav', bytes: 5, uploadedAt: 0 }],
      upload: async (account, name, body) => {
        told.push(['upload', account, name, await text(body)]);
        if (name === 'large') throw new PatchbayError('PATCHBAY_PAYLOAD_TOO_LARGE', 'large');
        return { name, bytes: 5, uploadedAt: 0 };
      },
      readUpload: (_account, name) => ({
        upload: { name, bytes: 5, uploadedAt: 0 },
        body: Readable.from([Buffer.from('sound')]),
      }),
    },
  });
  const { core } = gateway;
  session = core.createSession(ACCOUNT.id, {}).id;
  member = core.createParticipant(ACCOUNT.id, {}).participant.id;
  core.addToSession(ACCOUNT.id, session, member);
  new TestDevice(core, member);
});
afterAll(() => gateway.stop());
beforeEach(() => {
  told.length = 0;
});

const put = (path: string, body?: object): Promise<Response> =>
  gateway.ask(path, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });

describe('announcements', () => {
  it('are played to a member, a participant and a session, and stopped', async () => {
    const mediaUrl = 'https://app.example/a.mp3';
    const audience = { participantId: member };
    for (const path of [
      `/sessions/${session}/participants/${member}/media`,
      `/participants/${member}/media`,
    ]) {
      told.length = 0;
      const response = await put(path, { mediaState: 'playing', mediaUrl, loop: true, volume: 0.5 });
      expect([response.status, await response.json()]).toEqual([
        200,
        { mediaState: 'PLAYING', state: 'LOADING', announcementId: 'a' },
      ]);
      expect((await put(path, { mediaState: 'STOPPED', mediaUrl })).status).toBe(200);
      expect(told).toEqual([
        ['play', ACCOUNT.id, audience, { mediaUrl, loop: true, volume: 0.5 }],
        ['stop', ACCOUNT.id, audience],
      ]);
      expect(await (await gateway.ask(path)).json()).toEqual({ mediaState: 'STOPPED' });
    }
    await put(`/sessions/${session}/media`, { mediaState: 'PLAYING', mediaUrl: 'media:a.wav' });
    expect(told.at(-1)).toEqual(['play', ACCOUNT.id, { sessionId: session }, { mediaUrl: 'media:a.wav' }]);
    expect((await gateway.ask(`/sessions/${session}/media`)).status).toBe(200);
  });

  it('are refused where they have no audience, or no sense', async () => {
    const { core } = gateway;
    const other = core.createSession(ACCOUNT.id, {}).id;
    const good = { mediaState: 'PLAYING', mediaUrl: 'tone:join' };
    for (const path of [
      '/sessions/nothing/media',
      `/sessions/${other}/participants/${member}/media`,
      `/sessions/${session}/participants/nobody/media`,
      '/participants/nobody/media',
    ]) {
      expect((await put(path, good)).status, path).toBe(404);
      expect((await gateway.ask(path)).status, path).toBe(404);
    }
    const path = `/participants/${member}/media`;
    for (const [body, why] of [
      [undefined, /mediaState/],
      [{}, /mediaState/],
      [{ mediaState: 'PAUSED' }, /mediaState.*PLAYING, STOPPED/],
      [{ mediaState: 'PLAYING' }, /mediaUrl/],
      [{ ...good, mediaUrl: 'file:///etc/passwd' }, /mediaUrl.*for example/],
      [{ ...good, volume: 3 }, /volume/],
      [{ ...good, loop: 2 }, /loop/],
      [{ ...good, mediaURL: 'tone:join' }, /did you mean mediaUrl/],
    ] as const) {
      const response = await put(path, body);
      const { error } = (await response.json()) as { error: string };
      expect([response.status, error]).toEqual([400, expect.stringMatching(why)]);
    }
    expect(told).toEqual([]);
  });
});

describe('uploads', () => {
  it('are taken as they come, whatever type they say they have', async () => {
    for (const type of ['audio/wav', 'application/json', 'application/octet-stream']) {
      const response = await gateway.ask('/media/a.wav', {
        method: 'PUT',
        headers: { 'content-type': type },
        body: '{"so',
      });
      expect([response.status, await response.json()]).toEqual([
        200,
        { name: 'a.wav', bytes: 5, uploadedAt: '1970-01-01T00:00:00.000Z' },
      ]);
      expect(told.at(-1)).toEqual(['upload', ACCOUNT.id, 'a.wav', '{"so']);
    }
    // Larger than other bodies may be.
    const large = 'x'.repeat(200_000);
    await gateway.ask('/media/b', { method: 'PUT', body: large });
    expect(told.at(-1)).toEqual(['upload', ACCOUNT.id, 'b', large]);
  });

  it('are refused without a body, and with the reason of the library', async () => {
    const empty = await gateway.ask('/media/a', { method: 'PUT' });
    expect([empty.status, await empty.json()]).toMatchObject([400, { reason: 'PATCHBAY_BAD_MEDIA' }]);
    const large = await gateway.ask('/media/large', { method: 'PUT', body: 'x' });
    expect([large.status, await large.json()]).toMatchObject([413, { reason: 'PATCHBAY_PAYLOAD_TOO_LARGE' }]);
  });

  it('are listed and read', async () => {
    expect(await (await gateway.ask('/media')).json()).toEqual({
      items: [{ name: 'a.wav', bytes: 5, uploadedAt: '1970-01-01T00:00:00.000Z' }],
    });
    const file = await gateway.ask('/media/a.wav');
    expect([file.headers.get('content-type'), await file.text()]).toEqual([
      'application/octet-stream',
      'sound',
    ]);
    expect((await gateway.ask('/media/a.wav', { headers: { authorization: 'Basic eDp5' } })).status).toBe(
      401,
    );
  });
});

describe('a session', () => {
  it('has music and tones of its own', async () => {
    const waitingMusic = { mediaUrl: 'media:a.wav', when: ['alone', 'nobody-publishes'] };
    const create = (body: object) =>
      gateway.ask('/sessions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const response = await create({ waitingMusic, joinTones: true });
    const created = (await response.json()) as { id: string };
    expect(created).toMatchObject({ waitingMusic, joinTones: true });
    expect(told).toEqual([['check', ACCOUNT.id, 'media:a.wav']]);
    expect(await (await gateway.ask(`/sessions/${created.id}`)).json()).toMatchObject({
      waitingMusic,
      joinTones: true,
    });
    expect((await create({ waitingMusic: { mediaUrl: 'media:missing', when: [] } })).status).toBe(404);
    expect((await create({ waitingMusic: { when: ['no-session'] } })).status).toBe(400);
    expect((await create({ waitingMusic: {} })).status).toBe(400);
  });
});
