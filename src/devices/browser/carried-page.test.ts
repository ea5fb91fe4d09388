import { describe, expect, it, vi } from 'vitest';
import { ACCOUNT } from '../../core/testing/index.js';
import { useBrowserServer } from './testing/server-fixture.js';

const stage = useBrowserServer();

const STREAMS = [{ streamId: 'stream', publisherMsid: 'msid', kinds: ['audio'], codecs: ['opus'] }] as const;
const OFFER = { sdpOffer: 'offer', mediaMetadata: { mediaStreams: { msid: { alias: 'voice' } } } };

const SENT = { sdpOffer: 'sent', revision: 1, layout: ['audio'], streams: [], codecs: ['PCMU'] } as const;

/** A page that publishes, as a media host carries it on; and the names of the events since. */
async function carriedPage(note?: (kept: string) => string) {
  const fixture = await stage.start();
  const { core, media } = fixture;
  const { id, token } = fixture.participant(fixture.session());
  const client = await fixture.ready(token);
  media.browsers.streams = STREAMS;
  await client.call('offerSdp', OFFER);
  const device = core.device(ACCOUNT, id)!;
  media.emit(device.info.id, { type: 'subscribeOffer', offer: SENT });
  const kept = media.notes.filter(([deviceId]) => deviceId === device.info.id).at(-1)![1];
  const connectedAt = device.connectedAt;
  // The other gateway has another core; here the participant just loses its device.
  await fixture.browsers.stop();
  const events: string[] = [];
  for (const event of ['connected', 'carriedOver', 'signallingLost', 'left'] as const)
    core.on(event, () => events.push(event));
  fixture.clock.advance(1_000);
  const deviceId = device.info.id;
  media.carry({ kind: 'browser', deviceId, note: note ? note(kept) : kept, streams: STREAMS });
  await fixture.restart();
  await fixture.browsers.restore(media.carried());
  return { fixture, id, token, deviceId, connectedAt, events };
}

describe('a page whose media outlived the gateway', () => {
  it('goes on publishing under its aliases, and is the device that it was', async () => {
    const { fixture, id, deviceId, connectedAt, events } = await carriedPage();
    const device = fixture.core.device(ACCOUNT, id);
    expect(device).toMatchObject({
      info: { id: deviceId, externalId: 'unique-1' },
      connectedAt,
      formats: { received: { codecs: ['opus'] }, sent: { codecs: ['PCMU'] } },
      streams: [{ streamId: 'stream', alias: 'voice', mediaTypes: ['audio'] }],
    });
    expect(events).toEqual(['carriedOver']);
    expect(fixture.media.carried()).toEqual([]);
  });

  it('is the page’s again when its socket comes back, and offers that were lost are made again', async () => {
    const { fixture, token, deviceId, events } = await carriedPage();
    const client = await fixture.open(token);
    await vi.waitFor(() => expect(fixture.media.browsers.resumed).toEqual([deviceId]));
    expect(await client.call('setMediaPreferences', {})).toMatchObject({ result: {} });
    fixture.media.browsers.streams = [];
    const answer = await client.call('offerSdp', OFFER);
    expect(answer).toMatchObject({ result: { endpointId: deviceId } });
    fixture.clock.advance(300_000);
    expect(events).toEqual(['carriedOver']);
  });

  it('ends like one that lost its socket when the page does not come back', async () => {
    const { fixture, id, deviceId, events } = await carriedPage();
    fixture.media.emit(deviceId, { type: 'silent', silentMs: 5_000 });
    fixture.clock.advance(8_000);
    await vi.waitFor(() => expect(fixture.media.closed).toContain(deviceId));
    expect(fixture.core.device(ACCOUNT, id)).toBeUndefined();
    expect(events).toEqual(['carriedOver', 'signallingLost', 'left']);
  });

  it.each([
    ['another version wrote the note', () => '{"page":1}'],
    ['the note is no JSON', () => 'x'],
    [
      'the participant was deleted meanwhile',
      (kept: string) => kept.replace(/"participantId":"[^"]+"/, '"participantId":"gone"'),
    ],
  ])('does not go on when %s', async (_why, note) => {
    const { fixture, deviceId, events } = await carriedPage(note);
    expect(events).toEqual([]);
    // They are closed with everything that nobody adopts.
    expect(fixture.media.carried().map((device) => device.deviceId)).toEqual([deviceId]);
  });
});
