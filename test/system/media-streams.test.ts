import { describe, expect, it } from 'vitest';
import { CLIENT_VERSIONS, type ClientPage, type ClientVersion } from '../support/chromium.js';
import { openMember } from '../support/member.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

/** People notice it when sound is so much before or behind its picture (ITU-R BT.1359). */
const IN_STEP_MS = 150;
/** Sender reports of sound come every five seconds or so. */
const REPORTED_WITHIN_MS = 15_000;

const stage = useStage();

describe.each(CLIENT_VERSIONS)('the media of a stream, client %s', (client: ClientVersion) => {
  it('may be sound or pictures alone', async () => {
    const session = await stage.rest.session();
    const [one, two] = [await openMember(stage, session, client), await openMember(stage, session, client)];
    await one.page.publish({ alias: 'sound', toneHz: 440 });
    await one.page.publish({ alias: 'pictures', video: true });
    const sound = await two.page.receives({ alias: 'sound' });
    const pictures = await two.page.receives({ alias: 'pictures' });
    expect([sound.mediaTypes, sound.kinds]).toEqual([['AUDIO'], ['audio']]);
    expect([pictures.mediaTypes, pictures.kinds]).toEqual([['VIDEO'], ['video']]);
    await two.page.hears(440, { alias: 'sound' });
    await two.page.seesFrames(pictures.streamId, 5);
  });

  it('begins with a key frame on subscribing and on each switch', async () => {
    const session = await stage.rest.session();
    const [one, two] = [await openMember(stage, session, client), await openMember(stage, session, client)];
    await one.page.publish({ alias: 'one', video: true });
    await two.page.publish({ alias: 'two', video: true });
    // Chromium sends key frames only on request.
    const viewer = await openMember(stage, session, client, { subscriptions: {} });
    for (const { who } of [one, two, one]) {
      await stage.rest.subscribe(session, viewer.who.id, { participants: [{ participantId: who.id }] });
      const { streamId } = await viewer.page.receives({ participantId: who.id });
      await viewer.page.seesFrames(streamId, 5);
      expect(await viewer.page.streams()).toHaveLength(1);
    }
  });
});

it('plays sound and pictures in step, with each client', async () => {
  const session = await stage.rest.session();
  const speaker = await openMember(stage, session, '0.12');
  const viewers = await Promise.all(CLIENT_VERSIONS.map((client) => openMember(stage, session, client)));
  await speaker.page.publishTone(440, { video: true });
  await Promise.all(viewers.map(({ page }) => playsInStep(page)));
});

async function playsInStep(page: ClientPage): Promise<void> {
  const { streamId } = await page.receives();
  await until(
    'sound and pictures with the time of the publisher, less apart than people notice',
    async () => {
      const { audio, video } = await page.counters(streamId);
      if (audio?.playingAt === undefined || video?.playingAt === undefined) return undefined;
      return Math.abs(audio.playingAt - video.playingAt) < IN_STEP_MS;
    },
    { withinMs: REPORTED_WITHIN_MS, seen: () => page.counters(streamId) },
  );
}
