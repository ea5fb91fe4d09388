import { describe, expect, it, vi } from 'vitest';
import { ACCOUNT } from '../../core/testing/index.js';
import { useBrowserServer } from './testing/server-fixture.js';
import type { RawClient } from './testing/raw-client.js';
import { method } from './testing/raw-client.js';

const stage = useBrowserServer();

describe('subscribing', () => {
  /** A subscribed browser and a published stream of another participant. */
  async function subscribed(
    sdkVersion?: string,
  ): Promise<{ client: RawClient; deviceId: string; publisher: string }> {
    const session = stage.fixture.session();
    const publisher = stage.fixture.participant(session);
    const subscriber = stage.fixture.participant(session);
    const client = await stage.fixture.ready(
      subscriber.token,
      sdkVersion === undefined ? {} : { sdkVersion },
    );
    const deviceId = stage.fixture.core.connectedDevice(subscriber.id)!.id;
    const other = await stage.fixture.ready(publisher.token, { uniqueId: 'publisher' });
    stage.fixture.media.browsers.streams = [
      { streamId: 'stream-1', publisherMsid: 'm', kinds: ['audio'], codecs: ['opus'] },
    ];
    const mediaMetadata = { mediaStreams: { m: { alias: '~alias' } } };
    await other.call('offerSdp', { sdpOffer: 'offer', mediaMetadata });
    return { client, deviceId, publisher: publisher.id };
  }

  const offer = (revision: number) => ({
    type: 'subscribeOffer' as const,
    offer: {
      sdpOffer: `offer ${String(revision)}`,
      revision,
      streams: [{ streamId: 'stream-1', kinds: ['audio' as const] }],
      codecs: ['opus'],
      layout: ['audio' as const],
    },
  });

  it('opens the media with the session of the participant, if there is one', async () => {
    await stage.start();
    const session = stage.fixture.session();
    await stage.fixture.ready(stage.fixture.participant(session).token);
    await stage.fixture.ready(stage.fixture.participant().token, { uniqueId: 'outside' });
    expect(stage.fixture.media.specs.map(({ sessionId }) => sessionId)).toEqual([session, undefined]);
  });

  it('opens media whose speech is metered where nobody hears it if the application asked who speaks', async () => {
    await stage.start();
    const { core, media } = stage.fixture;
    for (const events of [['speaking'], []] as const) {
      const { token } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'], events });
      await stage.fixture.ready(token, { uniqueId: events.join() });
    }
    expect(media.specs.map(({ metersSpeech }) => metersSpeech)).toEqual([true, false]);
  });

  it('passes deliveries on and tells the page whose streams they are', async () => {
    await stage.start();
    const { client, deviceId, publisher } = await subscribed();
    expect(stage.fixture.media.deliveries()).toEqual([[{ streamId: 'stream-1', kinds: ['audio'] }]]);
    stage.fixture.media.emit(deviceId, offer(7));
    const notification = await client.waitFor(method('sdpOffer'));
    expect(notification).toEqual({
      jsonrpc: '2.0',
      method: 'sdpOffer',
      params: {
        endpointId: deviceId,
        sdpOffer: 'offer 7',
        sdpRevision: 7,
        streamMetadata: {
          'stream-1': {
            endpointId: 'stream-1',
            alias: '~alias',
            mediaTypes: ['AUDIO'],
            participantId: publisher,
          },
        },
      },
    });
  });

  it('escapes a leading tilde, which a client with circular-json would read as a reference', async () => {
    await stage.start();
    const { client, deviceId } = await subscribed('0.9.2-beta.1');
    stage.fixture.media.emit(deviceId, offer(7));
    const notification = await client.waitFor(method('sdpOffer'));
    expect(notification).toMatchObject({
      params: { streamMetadata: { 'stream-1': { alias: '\\x7ealias' } } },
    });
  });

  it('holds offers back until the page is ready', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    const client = await stage.fixture.open(token);
    const deviceId = await vi.waitFor(() => {
      const device = stage.fixture.core.connectedDevice(id);
      expect(device).toBeDefined();
      return device!.id;
    });
    stage.fixture.media.emit(deviceId, offer(1));
    stage.fixture.media.emit(deviceId, offer(2));
    await client.call('setMediaPreferences', { protocol: 'WEBRTC' });
    await client.waitFor(method('sdpOffer'));
    expect(client.frames.map((frame) => frame['method'] ?? 'answer')).toEqual(['answer', 'sdpOffer']);
    expect(client.frames[1]).toMatchObject({ params: { sdpRevision: 2 } });
  });

  it('acknowledges an answer before acting on it', async () => {
    await stage.start();
    const { client } = await subscribed();
    expect((await client.call('answerSdp', { sdpAnswer: 'answer' }))['result']).toEqual({});
    await vi.waitFor(() => expect(stage.fixture.media.answers).toEqual(['answer']));
  });

  it('saves what a restarted gateway must know to serve the page again', async () => {
    await stage.start();
    const { client, deviceId } = await subscribed();
    stage.fixture.media.emit(deviceId, offer(7));
    await client.waitFor(method('sdpOffer'));
    expect(stage.fixture.core.resumePoint(participantOf(deviceId), 'unique-1')).toEqual({
      layout: ['audio'],
      revision: 7,
    });
  });

  it('sends an offer with a new m-line only when that is on disk, and of several only the newest', async () => {
    await stage.start();
    const { client, deviceId } = await subscribed();
    const { core, media } = stage.fixture;
    let written = (): void => undefined;
    const flush = vi
      .spyOn(core, 'flush')
      .mockImplementationOnce(() => new Promise((resolve) => (written = resolve)));
    media.emit(deviceId, offer(7));
    media.emit(deviceId, offer(8));
    await client.call('ping');
    expect(client.frames.filter(method('sdpOffer'))).toEqual([]);
    expect(core.resumePoint(participantOf(deviceId), 'unique-1')?.layout).toEqual(['audio']);
    written();
    await client.waitFor(method('sdpOffer'));
    media.emit(deviceId, offer(9));
    await client.waitFor((frame) => JSON.stringify(frame).includes('offer 9'));
    const offered = client.frames.filter(method('sdpOffer'));
    expect(offered).toMatchObject([8, 9].map((sdpRevision) => ({ params: { sdpRevision } })));
    expect(flush).toHaveBeenCalledOnce();
  });

  it('sends offers although the disk is full', async () => {
    await stage.start();
    const { client, deviceId } = await subscribed();
    vi.spyOn(stage.fixture.core, 'flush').mockRejectedValueOnce(new Error('database or disk is full'));
    stage.fixture.media.emit(deviceId, offer(7));
    expect(await client.waitFor(method('sdpOffer'))).toMatchObject({ params: { sdpRevision: 7 } });
  });

  const participantOf = (deviceId: string): string =>
    stage.fixture.core
      .participants(ACCOUNT, {})
      .items.find(({ id }) => stage.fixture.core.connectedDevice(id)?.id === deviceId)!.id;
});
