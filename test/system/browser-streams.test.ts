import { describe, expect, it, onTestFinished } from 'vitest';
import { CLIENT_VERSIONS, type ClientVersion } from '../support/chromium.js';
import { type Member, openMember } from '../support/member.js';
import type { NewTestMember, SubscriptionsBody } from '../support/rest.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const stage = useStage();

describe.each(CLIENT_VERSIONS)('the streams of browsers, client %s', (client: ClientVersion) => {
  const join = (session: string, options?: NewTestMember): Promise<Member> =>
    openMember(stage, session, client, options);

  it('carries audio and video with participant and alias, each way', async () => {
    const session = await stage.rest.session();
    const [one, two] = [await join(session), await join(session)];
    const published = await one.page.publishTone(440, { alias: 'camera', video: true });
    expect(published.mediaTypes).toEqual(['AUDIO', 'VIDEO']);
    await two.page.publishTone(880);

    const received = await two.page.receives({ participantId: one.who.id });
    expect(received).toMatchObject({ alias: 'camera', mediaTypes: ['AUDIO', 'VIDEO'] });
    expect([...received.kinds].sort()).toEqual(['audio', 'video']);
    await two.page.hears(440, { participantId: one.who.id });
    await two.page.seesFrames(received.streamId, 10);
    await one.page.hears(880, { participantId: two.who.id });
    // Nobody receives their own streams.
    expect(await one.page.streams()).toHaveLength(1);
  });

  it('tells who speaks to an application that asked, and how loud, by the level that the page sends', async () => {
    const webhooks = await WebhookReceiver.start();
    onTestFinished(() => webhooks.close());
    const { rest } = stage;
    const asked = { callbackUrl: webhooks.url, events: ['speaking'] } as const;
    const { who, page } = await join(await rest.session(), asked);
    await page.publish({ toneHz: 440, syllables: true });
    const told = () =>
      webhooks.received.filter(
        ({ event, participantId }) => event === 'onSpeaking' && participantId === who.id,
      );
    const tells = (times: number) =>
      until(`${times} onSpeaking`, () => told().length >= times, {
        withinMs: 30_000,
        seen: () => Promise.resolve(told()),
      });
    await tells(1);
    const [stream] = (await rest.device(who.id)).streams;
    expect(stream).toMatchObject({ speaking: true });
    // A sine of 0.4.
    expect(Math.abs(stream!.levelDb! - 20 * Math.log10(0.4 / Math.SQRT2))).toBeLessThan(3);
    const [publishing] = (await page.peers()).filter(({ role }) => role === 'publish');
    expect(publishing).toMatchObject({ takesLevels: true });
    await page.fallSilent();
    await tells(2);
    const { streamId } = stream!;
    expect(told()).toMatchObject([
      { streamId, speaking: true },
      { streamId, speaking: false },
    ]);
    expect((await rest.device(who.id)).streams).toMatchObject([{ speaking: false }]);
  });

  it('goes on after an ICE restart', async () => {
    const session = await stage.rest.session();
    const [one, two] = [await join(session), await join(session)];
    await one.page.publishTone(500, { alias: 'before' });
    await two.page.hears(500, { alias: 'before' });
    await one.page.restartIce();
    await one.page.publishTone(1_500, { alias: 'after' });
    await two.page.hears(1_500, { alias: 'after' });
    await two.page.hears(500, { alias: 'before' });
    const kinds = (await two.page.events()).map(({ type }) => type);
    expect(kinds.filter((type) => type === 'unavailable')).toEqual([]);
  });

  it('keeps several streams of one page apart, and drops and publishes them one by one', async () => {
    const session = await stage.rest.session();
    const [one, two] = [await join(session), await join(session)];
    const camera = await one.page.publishTone(500, { alias: 'camera' });
    await one.page.publishTone(1_500, { alias: 'screen', video: true });
    await two.page.hears(500, { alias: 'camera' });
    await two.page.hears(1_500, { alias: 'screen' });
    const delivered = (await stage.rest.device(two.who.id)).delivery.map((stream) => stream.alias);
    expect(delivered.sort()).toEqual(['camera', 'screen']);

    await one.page.unpublish(camera.streamId);
    await two.page.loses({ alias: 'camera' });
    await two.page.hears(1_500, { alias: 'screen' });
    // It reuses the m-line that became free.
    await one.page.publishTone(700, { alias: 'camera' });
    await two.page.hears(700, { alias: 'camera' });
    await two.page.hears(1_500, { alias: 'screen' });

    await one.page.unpublish();
    await two.page.loses();
    const kinds = (await two.page.events()).map(({ type }) => type);
    expect(kinds.filter((type) => type === 'available')).toHaveLength(3);
    expect(kinds.filter((type) => type === 'unavailable')).toHaveLength(3);
    expect((await stage.rest.device(one.who.id)).streams).toEqual([]);
  });

  it('grants a participant with AUDIO alone no video', async () => {
    const session = await stage.rest.session();
    const one = await join(session, { publishPermissions: ['AUDIO'] });
    const two = await join(session);
    const both = await one.page.publishTone(440, { video: true });
    expect(both.mediaTypes).toEqual(['AUDIO']);
    const pictures = await one.page.publish({ video: true, alias: 'pictures' });
    expect(pictures.mediaTypes).toEqual([]);
    await two.page.hears(440, { participantId: one.who.id });
    expect(await two.page.streams()).toMatchObject([{ mediaTypes: ['AUDIO'], kinds: ['audio'] }]);
    const device = await stage.rest.device(one.who.id);
    expect(device.streams).toMatchObject([{ mediaTypes: ['AUDIO'] }]);
    const refused = { mediaType: 'VIDEO', reason: 'not permitted' };
    expect(device.omitted).toEqual([
      { streamId: device.streams[0]!.streamId, ...refused },
      { streamId: expect.any(String) as unknown, ...refused },
    ]);
    await until(
      'the line in the client’s log',
      () => one.page.console.some((line) => line.includes('tracksOmitted') && line.includes('not permitted')),
      { withinMs: 20_000 },
    );
  });

  it('follows subscriptions on all three levels while they change', async () => {
    const session = await stage.rest.session();
    const one = await join(session, { subscriptions: {} });
    const two = await join(session, { subscriptions: {} });
    const three = await join(session, { subscriptions: {} });
    await one.page.publishTone(400, { alias: 'a' });
    await one.page.publishTone(900, { alias: 'b' });
    await two.page.publishTone(1_400, { alias: 'a' });
    const subscribe = (body: SubscriptionsBody): Promise<void> =>
      stage.rest.subscribe(session, three.who.id, body);

    await subscribe({ sessionId: session });
    for (const hz of [400, 900, 1_400]) await three.page.hears(hz);

    await subscribe({ participants: [{ participantId: one.who.id }] });
    await three.page.loses({ participantId: two.who.id });
    for (const hz of [400, 900]) await three.page.hears(hz);

    await subscribe({ participants: [{ participantId: one.who.id, streamAliases: ['b'] }] });
    await three.page.loses({ alias: 'a' });
    await three.page.hears(900, { alias: 'b' });

    // No stream has this alias yet.
    const later = [{ participantId: two.who.id, streamAliases: ['later'] }];
    await subscribe({ participants: later });
    await three.page.loses();
    await two.page.publishTone(1_900, { alias: 'later' });
    await three.page.hears(1_900, { participantId: two.who.id, alias: 'later' });

    await subscribe({});
    await three.page.loses();
    expect((await stage.rest.device(three.who.id)).delivery).toEqual([]);
  });

  it('follows a participant that is moved to another session', async () => {
    const [first, second] = [await stage.rest.session(), await stage.rest.session()];
    const mover = await join(first);
    const stays = await join(first);
    const waits = await join(second);
    await mover.page.publishTone(600);
    await stays.page.hears(600);
    await stage.rest.leave(first, mover.who.id);
    await stays.page.loses();
    await stage.rest.join(second, mover.who.id, { sessionId: second });
    await waits.page.hears(600, { participantId: mover.who.id });
    await waits.page.publishTone(1_200);
    await mover.page.hears(1_200, { participantId: waits.who.id });
  });

  it('carries an alias that begins with a tilde', async () => {
    const session = await stage.rest.session();
    const [one, two] = [await join(session), await join(session)];
    await one.page.publishTone(440, { alias: '~tilde' });
    await two.page.receives({ alias: '~tilde' });
    expect((await stage.rest.device(one.who.id)).streams).toMatchObject([{ alias: '~tilde' }]);
  });
});
