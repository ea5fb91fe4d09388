import { createReadStream, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ACCOUNT, codeOf } from '../core/testing/index.js';
import type { FileSpec } from '../media/index.js';
import { announcementStage } from './testing/stage.js';

const NAME = 'prompt.mp3';
const PROMPT = { mediaUrl: `media:${NAME}` };

let stage: Awaited<ReturnType<typeof announcementStage>>;
/** How often each path was asked for. */
const asked = new Map<string, number>();
let server: Server;
beforeAll(async () => {
  stage = await announcementStage();
  await stage.announcements.upload(ACCOUNT, NAME, createReadStream('test/fixtures/tone-440.mp3'));
  server = createServer((request, response) => {
    const { url = '' } = request;
    asked.set(url, (asked.get(url) ?? 0) + 1);
    if (url.startsWith('/missing')) response.writeHead(404).end();
    else if (url.startsWith('/text')) response.end('<html>');
    else if (!url.startsWith('/never')) response.end(readFileSync('test/fixtures/tone-440.opus'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await stage.stop();
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  stage.reports.length = 0;
});

const at = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
const newSession = (): string => stage.core.createSession(ACCOUNT, {}).id;
/** The file that a device hears. */
const heard = (device: { readonly info: { readonly id: string } }): FileSpec => {
  const [file, ...others] = stage.media.heardBy(device.info.id);
  expect(others).toEqual([]);
  expect(file).toBeDefined();
  return file!;
};
const streamOf = (spec: FileSpec): string => `stream-${spec.deviceId}`;

describe('a participant', () => {
  it('hears what is played, and nobody else does, until it ends', async () => {
    const { announcements, media, reports } = stage;
    const session = newSession();
    const [ann, bob] = [stage.member(session, 'ann'), stage.member(session, 'bob')];
    const audience = { participantId: ann.id };
    expect(announcements.state(ACCOUNT, audience)).toEqual({ mediaState: 'STOPPED' });
    // A sound that is known begins within the request.
    const state = announcements.play(ACCOUNT, audience, { ...PROMPT, volume: 0.5 });
    expect(state).toMatchObject({
      mediaState: 'PLAYING',
      state: 'PLAYING',
      ...PROMPT,
      loop: false,
      volume: 0.5,
    });
    const file = heard(ann.device);
    expect(file).toMatchObject({ rate: 48_000, times: 1, volume: 0.5 });
    await expect.poll(() => ann.device.receiving).toEqual([streamOf(file)]);
    expect(bob.device.receiving).toEqual([]);
    media.emit(file.deviceId, { type: 'started' });
    media.emit(file.deviceId, { type: 'ended' });
    // What was sent last is still in the listener's jitter buffer.
    stage.clock.advance(399);
    expect(ann.device.receiving).toEqual([streamOf(file)]);
    stage.clock.advance(1);
    expect(ann.device.receiving).toEqual([]);
    expect(media.closed).toContain(file.deviceId);
    expect(reports).toEqual(['ann STARTED', 'ann ENDED']);
    expect(announcements.state(ACCOUNT, audience)).toMatchObject({
      mediaState: 'STOPPED',
      state: 'ENDED',
      announcementId: state.announcementId,
    });
  });

  it('hears it from the beginning when it is played again, and no more when it is stopped', async () => {
    const { announcements, reports } = stage;
    const ann = stage.member(newSession(), 'ann');
    const audience = { participantId: ann.id };
    announcements.play(ACCOUNT, audience, { ...PROMPT, loop: true });
    const first = heard(ann.device);
    expect(first.times).toBe(0);
    await expect.poll(() => ann.device.receiving).toEqual([streamOf(first)]);
    announcements.play(ACCOUNT, audience, PROMPT);
    const second = heard(ann.device);
    expect(second.deviceId).not.toBe(first.deviceId);
    await expect.poll(() => ann.device.receiving).toEqual([streamOf(second)]);
    expect(announcements.stop(ACCOUNT, audience)).toMatchObject({ mediaState: 'STOPPED', state: 'STOPPED' });
    expect(ann.device.receiving).toEqual([]);
    expect(stage.media.heardBy(ann.device.info.id)).toEqual([]);
    expect(reports).toEqual(['ann STOPPED', 'ann STOPPED']);
    // Stopping what does not play changes nothing.
    announcements.stop(ACCOUNT, audience);
    expect(reports).toHaveLength(2);
  });

  it('hears it in no session, and through a move', async () => {
    const { announcements, core } = stage;
    const id = stage.participant('ann');
    const { device } = stage.connect(id);
    announcements.play(ACCOUNT, { participantId: id }, PROMPT);
    const file = heard(device);
    await expect.poll(() => device.receiving).toEqual([streamOf(file)]);
    core.addToSession(ACCOUNT, newSession(), id);
    expect(device.receiving).toEqual([streamOf(file)]);
    expect(heard(device)).toBe(file);
    announcements.stop(ACCOUNT, { participantId: id });
  });

  it('that hangs up leaves nothing behind', async () => {
    const { announcements, media, core, reports } = stage;
    const ann = stage.member(newSession(), 'ann');
    announcements.play(ACCOUNT, { participantId: ann.id }, PROMPT);
    const { deviceId } = heard(ann.device);
    ann.connection.end('left');
    await expect.poll(() => media.closed).toContain(deviceId);
    expect(announcements.state(ACCOUNT, { participantId: ann.id })).toMatchObject({ state: 'STOPPED' });
    stage.finish(deviceId);
    expect(reports).toEqual([]);
    // A sound that comes too late is not played to the device that takes its place.
    const again = stage.connect(ann.id);
    announcements.play(ACCOUNT, { participantId: ann.id }, { mediaUrl: at('/late') });
    const third = stage.connect(ann.id);
    await expect.poll(() => stage.part.counts().fetching).toBe(0);
    for (const { device } of [again, third]) expect(media.heardBy(device.info.id)).toEqual([]);
    core.deleteParticipant(ACCOUNT, ann.id);
  });

  it('must be connected', () => {
    const { announcements } = stage;
    const id = stage.participant('ann');
    const play = (account: string, participantId: string) => () =>
      announcements.play(account, { participantId }, PROMPT);
    expect(codeOf(play(ACCOUNT, id))).toBe('PATCHBAY_DEVICE_NOT_FOUND');
    expect(codeOf(play('other', id))).toBe('PATCHBAY_PARTICIPANT_NOT_FOUND');
    expect(codeOf(play(ACCOUNT, 'nobody'))).toBe('PATCHBAY_PARTICIPANT_NOT_FOUND');
  });

  it('is told when the media plane cannot play it', async () => {
    const { announcements, media, reports } = stage;
    const ann = stage.member(newSession(), 'ann');
    media.refuses = true;
    announcements.play(ACCOUNT, { participantId: ann.id }, PROMPT);
    await expect.poll(() => reports).toEqual(['ann FAILED: The gateway cannot play it now.']);
    media.refuses = false;
    expect(announcements.state(ACCOUNT, { participantId: ann.id })).toMatchObject({ state: 'FAILED' });
    expect(ann.device.receiving).toEqual([]);
  });
});

describe('a session', () => {
  it('hears it: all in it, and those who enter while it plays', async () => {
    const { announcements, core, clock, media, reports } = stage;
    const session = newSession();
    const audience = { sessionId: session };
    const [ann, bob] = [stage.member(session, 'ann'), stage.member(session, 'bob', 'browser')];
    const other = stage.member(newSession(), 'other');
    announcements.play(ACCOUNT, audience, PROMPT);
    const files = [ann, bob].map(({ device }) => heard(device));
    expect(announcements.state(ACCOUNT, audience).participantIds).toEqual([ann.id, bob.id]);
    clock.advance(500);
    const cid = stage.member(session, 'cid');
    files.push(heard(cid.device));
    // Who leaves the session hears it no more.
    core.removeFromSession(ACCOUNT, session, bob.id);
    expect(media.heardBy(bob.device.info.id)).toEqual([]);
    expect(media.heardBy(other.device.info.id)).toEqual([]);
    stage.finish(files[0]!.deviceId);
    expect(announcements.state(ACCOUNT, audience)).toMatchObject({
      state: 'PLAYING',
      participantIds: [cid.id],
    });
    // Once it would be over, nobody hears it from its beginning any more.
    clock.advance(200);
    const dee = stage.member(session, 'dee');
    expect(media.heardBy(dee.device.info.id)).toEqual([]);
    stage.finish(files[2]!.deviceId);
    expect(announcements.state(ACCOUNT, audience)).toMatchObject({ mediaState: 'STOPPED', state: 'ENDED' });
    expect(reports).toEqual(['bob STOPPED', 'ann ENDED', 'cid ENDED']);
    await expect.poll(() => ann.device.receiving).toEqual([]);
  });

  it('hears it beside what is played to one of its participants', async () => {
    const { announcements } = stage;
    const session = newSession();
    const ann = stage.member(session, 'ann');
    announcements.play(ACCOUNT, { sessionId: session }, { ...PROMPT, loop: true });
    announcements.play(ACCOUNT, { participantId: ann.id }, PROMPT);
    expect(stage.media.heardBy(ann.device.info.id)).toHaveLength(2);
    await expect.poll(() => ann.device.receiving).toHaveLength(2);
    announcements.stop(ACCOUNT, { sessionId: session });
    await expect.poll(() => ann.device.receiving).toHaveLength(1);
    announcements.stop(ACCOUNT, { participantId: ann.id });
  });

  it('that is empty hears nothing until somebody comes, and nothing stays when it is deleted', () => {
    const { announcements, core, media } = stage;
    const session = newSession();
    announcements.play(ACCOUNT, { sessionId: session }, { ...PROMPT, loop: true });
    stage.clock.advance(3_600_000);
    const ann = stage.member(session, 'ann');
    const { path } = heard(ann.device);
    core.deleteSession(ACCOUNT, session);
    expect(media.heardBy(ann.device.info.id)).toEqual([]);
    expect(codeOf(() => announcements.state(ACCOUNT, { sessionId: session }))).toBe(
      'PATCHBAY_SESSION_NOT_FOUND',
    );
    expect(path).toContain('media-cache');
  });

  it('of twenty costs one decoding', async () => {
    const { announcements, part, media } = stage;
    const session = newSession();
    const members = Array.from({ length: 20 }, (_, i) => stage.member(session, `m${i}`));
    const before = part.counts().decodings;
    announcements.play(ACCOUNT, { sessionId: session }, { mediaUrl: at('/twenty') });
    for (const { id } of members)
      announcements.play(ACCOUNT, { participantId: id }, { mediaUrl: at('/twenty') });
    for (const { device } of members) await expect.poll(() => media.heardBy(device.info.id)).toHaveLength(2);
    expect(asked.get('/twenty')).toBe(1);
    expect(part.counts().decodings).toBe(before + 1);
    const paths = new Set(
      members.flatMap(({ device }) => media.heardBy(device.info.id).map(({ path }) => path)),
    );
    expect(paths.size).toBe(1);
    expect(part.counts().playing).toMatchObject({ participant: 20, session: 20 });
    stage.core.deleteSession(ACCOUNT, session);
    expect(part.counts().playing).toMatchObject({ participant: 0, session: 0 });
  });
});

describe('a sound by URL', () => {
  it('is fetched once, and asked for again when it is old', async () => {
    const { announcements, part } = stage;
    const ann = stage.member(newSession(), 'ann');
    const audience = { participantId: ann.id };
    const request = { mediaUrl: at('/once?secret=1') };
    expect(announcements.play(ACCOUNT, audience, request)).toMatchObject({
      mediaState: 'PLAYING',
      state: 'LOADING',
    });
    await expect.poll(() => announcements.state(ACCOUNT, audience).state).toBe('PLAYING');
    expect(announcements.play(ACCOUNT, audience, request).state).toBe('PLAYING');
    expect(asked.get('/once?secret=1')).toBe(1);
    stage.clock.advance(300_001);
    expect(announcements.play(ACCOUNT, audience, request).state).toBe('LOADING');
    await expect.poll(() => announcements.state(ACCOUNT, audience).state).toBe('PLAYING');
    expect(asked.get('/once?secret=1')).toBe(2);
    expect(part.counts().fetched).toBeGreaterThan(1);
    announcements.stop(ACCOUNT, audience);
  });

  it('that cannot be had or played is told with the cause, and nothing of it is heard', async () => {
    const { announcements, media, reports, part } = stage;
    const session = newSession();
    const ann = stage.member(session, 'ann');
    for (const [path, cause] of [
      ['/missing', 'The server answered 404.'],
      ['/text', 'The file is neither WAV nor Ogg Opus nor MP3.'],
    ] as const) {
      reports.length = 0;
      const failed = part.counts().fetchesFailed;
      announcements.play(ACCOUNT, { participantId: ann.id }, { mediaUrl: at(path) });
      await expect.poll(() => reports).toEqual([`ann FAILED: ${cause}`]);
      expect(announcements.state(ACCOUNT, { participantId: ann.id })).toMatchObject({
        state: 'FAILED',
        cause,
      });
      announcements.play(ACCOUNT, { sessionId: session }, { mediaUrl: at(path) });
      await expect.poll(() => reports).toHaveLength(2);
      expect(part.counts().fetchesFailed).toBe(failed + 2);
    }
    expect(media.heardBy(ann.device.info.id)).toEqual([]);
  });

  it('that is stopped while it is fetched is not heard', async () => {
    const { announcements, media, reports } = stage;
    const ann = stage.member(newSession(), 'ann');
    const audience = { participantId: ann.id };
    announcements.play(ACCOUNT, audience, { mediaUrl: at('/stopped') });
    announcements.stop(ACCOUNT, audience);
    expect(reports).toEqual(['ann STOPPED']);
    await expect.poll(() => stage.part.counts().fetching).toBe(0);
    announcements.play(ACCOUNT, audience, { mediaUrl: at('/stopped') });
    expect(media.heardBy(ann.device.info.id)).toHaveLength(1);
    announcements.stop(ACCOUNT, audience);
  });

  it('is refused at once where that is known', () => {
    const { announcements } = stage;
    const ann = stage.member(newSession(), 'ann');
    const refusal = (mediaUrl: string) =>
      codeOf(() => announcements.play(ACCOUNT, { participantId: ann.id }, { mediaUrl }));
    for (const url of [
      '',
      'nonsense',
      'file:///etc/passwd',
      'ftp://example.com/a',
      'http://',
      'http://169.254.169.254/latest',
      `https://example.com/${'x'.repeat(2_048)}`,
      'tone:loud',
      'media:',
      'media:../token-secret',
    ])
      expect(refusal(url), url).toBe('PATCHBAY_BAD_REQUEST');
    expect(refusal('media:missing')).toBe('PATCHBAY_MEDIA_NOT_FOUND');
    expect(codeOf(() => announcements.check('other', PROMPT.mediaUrl))).toBe('PATCHBAY_MEDIA_NOT_FOUND');
  });

  it('of which too many are being fetched is refused', async () => {
    const { announcements } = stage;
    const session = newSession();
    const members = Array.from({ length: 5 }, (_, i) => stage.member(session, `m${i}`));
    const play = (i: number, path: string) => () =>
      announcements.play(ACCOUNT, { participantId: members[i]!.id }, { mediaUrl: at(path) });
    for (let i = 0; i < 4; i += 1) play(i, `/never${i}`)();
    expect(codeOf(play(4, '/never4'))).toBe('PATCHBAY_TOO_MANY_REQUESTS');
    // What is being fetched already, or is known, costs nothing more.
    play(4, '/never0')();
    announcements.play(ACCOUNT, { participantId: members[4]!.id }, PROMPT);
    await expect.poll(() => [0, 1, 2, 3].map((i) => asked.get(`/never${i}`))).toEqual([1, 1, 1, 1]);
    server.closeAllConnections();
    await expect.poll(() => stage.part.counts().fetching).toBe(0);
    stage.core.deleteSession(ACCOUNT, session);
  });
});
