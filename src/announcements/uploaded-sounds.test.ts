import { createReadStream, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PatchbayError } from '../core/index.js';
import { ACCOUNT, codeOf } from '../core/testing/index.js';
import { announcementStage } from './testing/stage.js';

const FIXTURE = 'test/fixtures/tone-440.opus';

let stage: Awaited<ReturnType<typeof announcementStage>>;
beforeAll(async () => {
  // Room for two of the fixture, decoded.
  stage = await announcementStage({ cacheBytes: 200_000 });
});
afterAll(() => stage.stop());

const newSession = (): string => stage.core.createSession(ACCOUNT, {}).id;

describe('limits', () => {
  it('keep the number of sounds that play at once', async () => {
    const small = await announcementStage({ players: { players: 3, playersPerAccount: 2 } });
    const session = small.core.createSession(ACCOUNT, {}).id;
    const members = ['ann', 'bob', 'cid'].map((tag) => small.member(session, tag));
    const play = (i: number) =>
      small.announcements.play(ACCOUNT, { participantId: members[i]!.id }, { mediaUrl: 'tone:music' });
    for (const i of [0, 1]) {
      play(i);
      await expect.poll(() => small.media.heardBy(members[i]!.device.info.id)).toHaveLength(1);
    }
    expect(codeOf(() => play(2))).toBe('PATCHBAY_TOO_MANY_REQUESTS');
    // To play anew needs no more room.
    play(1);
    expect(small.part.counts()).toMatchObject({ refused: 1, playing: { participant: 2 } });
    small.announcements.stop(ACCOUNT, { participantId: members[0]!.id });
    small.reports.length = 0;
    small.announcements.play(ACCOUNT, { sessionId: session }, { mediaUrl: 'tone:music' });
    expect(small.reports).toEqual([
      'bob FAILED: The gateway cannot play it now.',
      'cid FAILED: The gateway cannot play it now.',
    ]);
    await small.stop();
  });
});

describe('uploads', () => {
  it('are refused when they cannot be played, and known at once when they can', async () => {
    const { announcements, part } = stage;
    const bad = announcements.upload(ACCOUNT, 'bad', Readable.from([Buffer.from('no sound')]));
    await expect(bad).rejects.toMatchObject({ code: 'PATCHBAY_BAD_MEDIA' } satisfies Partial<PatchbayError>);
    expect(announcements.uploads(ACCOUNT)).toEqual([]);
    const { cacheBytes, decodings } = part.counts();
    await announcements.upload(ACCOUNT, 'second', createReadStream(FIXTURE));
    expect(part.counts()).toMatchObject({ decodings: decodings + 1 });
    expect(part.counts().cacheBytes).toBeGreaterThan(cacheBytes);
    await announcements.deleteUpload(ACCOUNT, 'second');
    expect(part.counts().cacheBytes).toBe(cacheBytes);
  });

  it('that are deleted or replaced while they play are heard to their end', async () => {
    const { announcements, part } = stage;
    const ann = stage.member(newSession(), 'ann');
    const before = part.counts().cacheBytes;
    await announcements.upload(ACCOUNT, 'third', createReadStream(FIXTURE));
    announcements.play(ACCOUNT, { participantId: ann.id }, { mediaUrl: 'media:third' });
    await announcements.deleteUpload(ACCOUNT, 'third');
    const { path } = stage.media.heardBy(ann.device.info.id)[0]!;
    expect(readFileSync(path).length).toBeGreaterThan(0);
    expect(codeOf(() => announcements.check(ACCOUNT, 'media:third'))).toBe('PATCHBAY_MEDIA_NOT_FOUND');
    announcements.stop(ACCOUNT, { participantId: ann.id });
    await expect.poll(() => part.counts().cacheBytes).toBe(before);
  });

  it('of which the file is lost are told to have failed, without naming it', async () => {
    const { announcements, dataDir, reports } = stage;
    const ann = stage.member(newSession(), 'ann');
    // The last one has the first one's room in the cache.
    for (const name of ['lost', 'a', 'b'])
      await announcements.upload(ACCOUNT, name, createReadStream(FIXTURE));
    const [account = ''] = readdirSync(join(dataDir, 'media'));
    rmSync(join(dataDir, 'media', account, 'lost'));
    reports.length = 0;
    announcements.play(ACCOUNT, { participantId: ann.id }, { mediaUrl: 'media:lost' });
    await expect.poll(() => reports).toEqual(['ann FAILED: The gateway cannot play it now.']);
  });
});
