import { expect, it } from 'vitest';
import type { ClientPage } from '../support/chromium.js';
import type { TestParticipant } from '../support/rest.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = useStage();

async function join(session: string): Promise<{ who: TestParticipant; page: ClientPage }> {
  const who = await stage.rest.member(session);
  const { wsUrl: gatewayUrl } = stage.gateway;
  return { who, page: await stage.chrome.openClient({ gatewayUrl, token: who.token }) };
}

it.each(['VP8', 'VP9', 'H264', 'AV1'])('forwards %s from browser to browser', async (codec) => {
  const session = await stage.rest.session();
  const [one, two] = [await join(session), await join(session)];
  expect(await one.page.encodableVideo()).toContain(codec);
  await one.page.preferVideo(codec);
  await one.page.publishTone(440, { video: true });
  const { streamId } = await two.page.receives();
  await two.page.seesFrames(streamId, 10);
  expect((await two.page.counters(streamId)).video?.codec).toBe(`video/${codec}`);
  expect((await stage.rest.device(two.who.id)).omitted).toEqual([]);
});

it('leaves a track out for the one subscriber that does not take its codec, and says so', async () => {
  const session = await stage.rest.session();
  const [one, two, other] = [await join(session), await join(session), await join(session)];
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
    { withinMs: 5_000, seen: () => stage.rest.device(two.who.id) },
  );
  expect(omitted).toEqual({
    streamId,
    mediaType: 'VIDEO',
    reason: 'the browser does not take codec VP9',
  });
  expect((await stage.rest.device(other.who.id)).omitted).toEqual([]);
  await until(
    'the word on the diagnostics channel',
    () => two.page.console.some((line) => line.includes('tracksOmitted')),
    {
      withinMs: 5_000,
      seen: () => Promise.resolve(two.page.console.slice(-10)),
    },
  );

  await one.page.unpublish();
  await two.page.loses({ participantId: one.who.id });
  expect((await stage.rest.device(two.who.id)).omitted).toEqual([]);
});
