import { describe, expect, it } from 'vitest';
import { ACCOUNT } from '../../core/testing/index.js';
import { MediaError } from '../../media/types.js';
import { useBrowserServer } from './testing/server-fixture.js';

const stage = useBrowserServer();

describe('publishing', () => {
  const mediaMetadata = { mediaStreams: { 'msid-1': { alias: 'camera' } }, dataChannels: {} };

  it('answers with metadata by the publisher’s stream id, and tells the core', async () => {
    await stage.start();
    const { id, token } = stage.fixture.participant();
    const client = await stage.fixture.ready(token);
    stage.fixture.media.browsers.streams = [
      { streamId: 'stream-1', publisherMsid: 'msid-1', kinds: ['audio', 'video'], codecs: ['opus', 'VP8'] },
    ];
    const { result } = await client.call('offerSdp', { sdpOffer: 'offer', mediaMetadata });
    expect(result).toMatchObject({
      sdpAnswer: 'answer to offer',
      streamMetadata: {
        'msid-1': {
          endpointId: 'stream-1',
          alias: 'camera',
          mediaTypes: ['AUDIO', 'VIDEO'],
          participantId: id,
        },
      },
    });
    expect(stage.fixture.core.device(ACCOUNT, id)?.streams).toEqual([
      { streamId: 'stream-1', alias: 'camera', mediaTypes: ['audio', 'video'] },
    ]);
  });

  it('lets the media plane accept only what the participant may publish', async () => {
    await stage.start();
    const { token } = stage.fixture.participant(undefined, ['audio']);
    const client = await stage.fixture.ready(token);
    stage.fixture.media.browsers.refused = [
      { publisherMsid: 'msid-1', kind: 'video', reason: 'not permitted' },
      { publisherMsid: 'another', kind: 'audio', reason: 'no codec that is forwarded' },
    ];
    const { result } = await client.call('offerSdp', { sdpOffer: 'offer', mediaMetadata });
    expect(stage.fixture.media.browsers.offers).toEqual([{ sdpOffer: 'offer', allowedKinds: ['audio'] }]);
    expect(result).toMatchObject({
      streamMetadata: {
        'msid-1': { mediaTypes: [], omitted: [{ mediaType: 'VIDEO', reason: 'not permitted' }] },
      },
    });
  });

  it('reports a refused track for as long as its stream is announced, or until it is accepted', async () => {
    await stage.start();
    const { fixture } = stage;
    const { id, token } = fixture.participant(undefined, ['audio']);
    const client = await fixture.ready(token);
    const omitted = (): unknown => fixture.core.device(ACCOUNT, id)?.omitted;
    const reason = 'not permitted';
    fixture.media.browsers.refused = [{ publisherMsid: 'msid-1', kind: 'video', reason }];
    await client.call('offerSdp', { sdpOffer: 'offer', mediaMetadata });
    expect(omitted()).toEqual([{ streamId: 'msid-1', mediaType: 'video', reason }]);

    fixture.media.browsers.streams = [
      { streamId: 'stream-1', publisherMsid: 'msid-1', kinds: ['audio'], codecs: ['opus'] },
    ];
    fixture.media.browsers.refused = [];
    const { result } = await client.call('offerSdp', { sdpOffer: 'another', mediaMetadata });
    expect(omitted()).toEqual([{ streamId: 'stream-1', mediaType: 'video', reason }]);
    const granted = { mediaTypes: ['AUDIO'], omitted: [{ mediaType: 'VIDEO', reason }] };
    expect(result).toMatchObject({ streamMetadata: { 'msid-1': granted } });

    fixture.media.browsers.streams = [
      { streamId: 'stream-1', publisherMsid: 'msid-1', kinds: ['audio', 'video'], codecs: ['opus', 'VP8'] },
    ];
    await client.call('offerSdp', { sdpOffer: 'taken', mediaMetadata });
    expect(omitted()).toEqual([]);
    fixture.media.browsers.refused = [{ publisherMsid: 'msid-1', kind: 'audio', reason }];
    fixture.media.browsers.streams = [];
    await client.call('offerSdp', { sdpOffer: 'refused', mediaMetadata });
    expect(omitted()).toHaveLength(1);
    fixture.media.browsers.refused = [];
    await client.call('offerSdp', { sdpOffer: 'gone', mediaMetadata: {} });
    expect(omitted()).toEqual([]);
  });

  it('answers an SDP that is not usable with an error that a page can show', async () => {
    await stage.start();
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    stage.fixture.media.browsers.refusal = new MediaError('BAD_SDP', 'There is no m-line.');
    const answer = await client.call('offerSdp', { sdpOffer: 'nonsense', mediaMetadata: {} });
    expect(answer).toEqual({
      jsonrpc: '2.0',
      error: { code: -32000, message: 'There is no m-line.' },
      id: 2,
    });
  });

  it('accepts a stream that is named __proto__', async () => {
    await stage.start();
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    client.send(
      '{"jsonrpc":"2.0","id":"x","method":"offerSdp","params":{"sdpOffer":"o","mediaMetadata":' +
        '{"mediaStreams":{"__proto__":{"alias":"polluted"}}}}}',
    );
    const { result } = await client.waitFor((frame) => frame['id'] === 'x');
    const { streamMetadata } = result as { streamMetadata: object };
    expect(Object.hasOwn(streamMetadata, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>)['alias']).toBeUndefined();
  });

  it('refuses offers that are too frequent, and keeps the socket open', async () => {
    await stage.start({ limits: { offers: { burst: 1, perSecond: 1 } } });
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    await client.call('offerSdp', { sdpOffer: 'first', mediaMetadata: {} });
    const second = await client.call('offerSdp', { sdpOffer: 'second', mediaMetadata: {} });
    expect(second['error']).toMatchObject({ code: -32001 });
    stage.fixture.clock.advance(1_000);
    expect((await client.call('offerSdp', { sdpOffer: 'third', mediaMetadata: {} }))['result']).toBeDefined();
  });
});
