import { afterEach, expect, it, vi } from 'vitest';
import { createPhoneFactory } from './phone/factory.js';
import { LocalMediaPlane } from './plane.js';
import type { MediaPlaneOptions } from './types.js';

const silent = (): void => undefined;
const options: MediaPlaneOptions = {
  rtpHost: '127.0.0.1',
  rtpPorts: [30000, 39999],
  webrtcHost: '127.0.0.1',
  webrtcPort: 0,
  mediaTimeoutMs: 30_000,
  log: { debug: silent, info: silent, warn: silent, error: silent },
};

let plane: LocalMediaPlane | undefined;
afterEach(() => plane?.stop());

const OFFER = [
  ...['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'],
  ...['m=audio 40000 RTP/AVP 0', ''],
].join('\r\n');

/** A plane whose phone `a` opens when the test lets it. */
function slowPlane() {
  const phones = createPhoneFactory(options);
  let open = (): void => undefined;
  let fail: (error: Error) => void = () => undefined;
  const may = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  const setTracks = vi.fn();
  const closed = vi.fn();
  plane = new LocalMediaPlane(options, {
    browser: () => Promise.reject(new Error('no browsers here')),
    phone: async (context) => {
      if (context.deviceId !== 'a') return phones.open(context);
      await may;
      const endpoint = await phones.open(context);
      endpoint.setTracks = setTracks;
      const close = endpoint.close.bind(endpoint);
      endpoint.close = () => close().then(closed);
      return endpoint;
    },
    load: () => phones.load(),
    counters: () => phones.counters(),
    stop: () => phones.stop(),
  });
  return { plane, open, fail, closed, setTracks };
}

it('frees what is closed while it opens, and opens it no more', async () => {
  const slow = slowPlane();
  const opening = slow.plane.openPhone({ deviceId: 'a' });
  const outcome = expect(opening).rejects.toMatchObject({ code: 'INVALID_STATE' });
  const closing = slow.plane.close('a');
  slow.open();
  await Promise.all([closing, outcome]);
  expect(slow.closed).toHaveBeenCalledTimes(1);
  await expect(slow.plane.statistics('a')).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
  // Its id is free again.
  expect((await slow.plane.openPhone({ deviceId: 'a' })).sdp).toContain('m=audio');
});

it('has nothing of what could not be opened', async () => {
  const slow = slowPlane();
  const opening = slow.plane.openPhone({ deviceId: 'a' });
  const outcome = expect(opening).rejects.toThrow('no port');
  const closing = slow.plane.close('a');
  slow.fail(new Error('no port'));
  await Promise.all([closing, outcome]);
  expect(slow.closed).not.toHaveBeenCalled();
});

it('takes a delivery while it opens, and opens a device once', async () => {
  const slow = slowPlane();
  const { stream } = await slow.plane.openPhone({ deviceId: 'b', sdpOffer: OFFER });
  const opening = slow.plane.openPhone({ deviceId: 'a' });
  await slow.plane.setDelivery('a', [stream!]);
  await expect(slow.plane.openPhone({ deviceId: 'a' })).rejects.toMatchObject({ code: 'INVALID_STATE' });
  slow.open();
  await opening;
  expect(slow.setTracks.mock.calls).toEqual([[[expect.objectContaining({ streamId: stream!.streamId })]]]);
});

it('answers for a phone only what phones can do', async () => {
  const slow = slowPlane();
  slow.open();
  await slow.plane.openPhone({ deviceId: 'a' });
  await expect(slow.plane.answerSubscribe('a', '')).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
  await expect(slow.plane.sendDtmf('b', { digits: '1' })).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
});
