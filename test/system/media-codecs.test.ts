import { expect, it } from 'vitest';
import { CLIENT_VERSIONS, type ClientVersion } from '../support/chromium.js';
import { type Member, openMember } from '../support/member.js';
import type { VideoCounters } from '../support/page/api.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = useStage();

function join(session: string, client: ClientVersion): Promise<Member> {
  return openMember(stage, session, client);
}

it.each(['VP8', 'VP9', 'H264', 'AV1'])('forwards %s from each client to the other', async (codec) => {
  const session = await stage.rest.session();
  const members = await Promise.all(CLIENT_VERSIONS.map((client) => join(session, client)));
  for (const { page } of members) {
    expect(await page.encodableVideo()).toContain(codec);
    await page.preferVideo(codec);
    await page.publish({ video: true });
  }
  for (const { who, page } of members) {
    const { streamId } = await page.receives();
    await page.seesFrames(streamId, 10);
    expect((await page.counters(streamId)).video?.codec).toBe(`video/${codec}`);
    expect((await stage.rest.device(who.id)).omitted).toEqual([]);
  }
});

it('asks for the largest of several layers', async () => {
  const session = await stage.rest.session();
  const [one, two] = [await join(session, '0.12'), await join(session, '0.12')];
  await one.page.publish({ video: true, large: true, layers: ['q', 'h', 'f'] });
  const { streamId } = await two.page.receives();
  await two.page.seesFrames(streamId, 10);
  expect(await one.page.sentLayers()).toEqual(['f']);
});

// Seen once, on a busy machine: the pictures ceased in the midst of it. What caused that is not known.
const PICTURES_MAY_CEASE = { retry: 1 };

it(
  'forwards the largest of several layers alone that a page sends side by side',
  PICTURES_MAY_CEASE,
  async () => {
    const session = await stage.rest.session();
    const one = await join(session, '0.12');
    await one.page.publish({ video: true, large: true, sources: 3 });
    // Chromium sends the larger ones when it has found that its network carries them; on a busy machine not all.
    const severalSent = async (): Promise<boolean> => {
      const { layers, width } = await one.page.sentVideo();
      return layers > 1 && width === 1280;
    };
    await until('several layers', severalSent, { withinMs: 60_000, seen: () => one.page.sentVideo() });
    const two = await join(session, '0.12');
    const { streamId } = await two.page.receives();
    const seen = async (): Promise<VideoCounters> => (await two.page.counters(streamId)).video!;
    await two.page.seesFrames(streamId, 1);
    await until('the largest', async () => (await seen()).width === 1280, { withinMs: 30_000, seen });
    const before = await seen();
    await two.page.seesFrames(streamId, 60);
    const after = await seen();
    // Among pictures of several layers, nearly each one would have to be a key frame to be shown.
    expect(after.keyFramesDecoded - before.keyFramesDecoded).toBeLessThan(
      (after.framesDecoded - before.framesDecoded) / 4,
    );
    expect((await stage.rest.device(two.who.id)).omitted).toEqual([]);
  },
);

it.each(CLIENT_VERSIONS)(
  'leaves a track out for the one subscriber that cannot play its codec, and says so, client %s',
  async (client: ClientVersion) => {
    const session = await stage.rest.session();
    const [one, two, other] = [
      await join(session, '0.12'),
      await join(session, client),
      await join(session, '0.9'),
    ];
    await one.page.preferVideo('VP9');
    await two.page.refuseVideo('VP9');
    // With a path of its own to the page, the page itself is told too.
    await two.page.publishTone(880);
    await one.page.publishTone(440, { video: true });
    const { streamId } = await other.page.receives({ participantId: one.who.id });
    await other.page.seesFrames(streamId, 10);
    await two.page.hears(440, { participantId: one.who.id });

    const omitted = await until(
      'an omitted track',
      async () => (await stage.rest.device(two.who.id)).omitted[0],
      { withinMs: 20_000, seen: () => stage.rest.device(two.who.id) },
    );
    expect(omitted).toEqual({
      streamId,
      mediaType: 'VIDEO',
      reason: 'the browser does not take codec VP9',
    });
    const [sender, without, viewer] = await Promise.all(
      [one, two, other].map(({ who }) => stage.rest.device(who.id)),
    );
    expect(viewer!.omitted).toEqual([]);
    const format = (...codecs: string[]) => ({ codecs, encryption: 'DTLS-SRTP' });
    expect(sender!.received).toEqual(format('opus', 'VP9'));
    expect(without).toMatchObject({ received: format('opus'), sent: format('opus') });
    expect(viewer!.sent).toEqual(format('opus', 'VP9'));
    await until(
      'the message on the diagnostics channel',
      () => two.page.console.some((line) => line.includes('tracksOmitted')),
      {
        withinMs: 20_000,
        seen: () => Promise.resolve(two.page.console.slice(-10)),
      },
    );

    await one.page.unpublish();
    await two.page.loses({ participantId: one.who.id });
    expect((await stage.rest.device(two.who.id)).omitted).toEqual([]);
  },
);
