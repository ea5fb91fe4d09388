import { NO_COUNTERS } from './counters.js';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../shared/testing/index.js';
import type { EndpointContext } from './endpoint.js';
import { createMixing } from './audio/index.js';
import { createPhoneFactory, type PhoneEndpoint } from './phone/index.js';
import { LocalMediaPlane, logByEvents } from './plane.js';
import { PublishedTrack } from './track.js';
import type { MediaPlaneEvent, PhoneHandle, PhoneMediaEvent } from './door.js';
import {
  type MediaDelivery,
  MediaError,
  type MediaPlaneOptions,
  STATISTICS_INTERVAL_MS,
  type StreamLevelInfo,
} from './types.js';

const nothing = (): void => undefined;
const options: MediaPlaneOptions = {
  rtpHost: '127.0.0.1',
  rtpPorts: [30000, 39999],
  webrtcHost: '127.0.0.1',
  webrtcPort: 0,
  mediaTimeoutMs: 30_000,
};

let plane: LocalMediaPlane | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await plane?.stop();
});

const OFFER = [
  ...['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'],
  ...['m=audio 40000 RTP/AVP 0', ''],
].join('\r\n');

const noneMade = {
  program: () => Promise.reject(new Error('no programs here')),
  file: () => Promise.reject(new Error('no files here')),
};

/** A plane whose phone `a` opens when the test lets it. */
function slowPlane(others: Partial<MediaPlaneOptions> = {}) {
  const all = { ...options, ...others };
  const mixing = createMixing(silentLog);
  const phones = createPhoneFactory(all, mixing);
  let open = (): void => undefined;
  let fail: (error: Error) => void = () => undefined;
  const may = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  const setTracks = vi.fn();
  const closed = vi.fn();
  plane = new LocalMediaPlane(all, silentLog, {
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
    ...noneMade,
    load: () => mixing.clock.load(),
    sendToPhonesFor: () => undefined,
    counters: () => phones.counters(),
    stop: () => phones.stop(),
  });
  const opener = plane;
  const phone = (deviceId: string, sdpOffer?: string): PhoneHandle =>
    opener.open({ kind: 'phone', deviceId, ...(sdpOffer !== undefined && { sdpOffer }) }, nothing);
  return { phone, open, fail, closed, setTracks };
}

/** A plane with fake phones, which the test controls. */
function scriptedPlane() {
  const statistics = { packetsReceived: 0, bytesReceived: 0, packetsSent: 0 };
  const described = vi.fn(() => Promise.resolve({ sdp: 'answer', held: false }));
  const contexts: EndpointContext<PhoneMediaEvent>[] = [];
  const setTracks = vi.fn();
  const takeLevels = vi.fn((): StreamLevelInfo[] => []);
  plane = new LocalMediaPlane(options, silentLog, {
    browser: () => Promise.reject(new Error('no browsers here')),
    phone: (context) => {
      contexts.push(context);
      const endpoint = {
        describe: described,
        setTracks,
        takeLevels,
        statistics: () => ({ ...statistics, packetsSent: (statistics.packetsSent += 1) }),
        close: () => Promise.resolve(),
      };
      return Promise.resolve(endpoint as unknown as PhoneEndpoint);
    },
    ...noneMade,
    load: () => ({ mixLatenessMs: 0, framesSkipped: 0, mixBusyMs: 0 }),
    sendToPhonesFor: () => undefined,
    counters: () => NO_COUNTERS,
    stop: () => Promise.resolve(),
  });
  const opener = plane;
  const phone = (deviceId: string): { handle: PhoneHandle; events: PhoneMediaEvent[] } => {
    const events: PhoneMediaEvent[] = [];
    const handle = opener.open({ kind: 'phone', deviceId }, (event) => void events.push(event));
    return { handle, events };
  };
  return { phone, contexts, described, setTracks, takeLevels };
}

const stream = (streamId: string) => ({
  streamId,
  tracks: [
    new PublishedTrack({ kind: 'audio', streamId, codec: { name: 'PCMU', clockRate: 8000, channels: 1 } }),
  ],
});

describe('opening', () => {
  it('frees a device that is closed while it opens, and does not open it', async () => {
    const slow = slowPlane();
    const a = slow.phone('a');
    const outcome = expect(a.opened).rejects.toMatchObject({ code: 'INVALID_STATE' });
    const closing = a.close();
    slow.open();
    await Promise.all([closing, outcome]);
    expect(slow.closed).toHaveBeenCalledTimes(1);
    await expect(a.update()).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
    // Its id is free again.
    expect((await slow.phone('a').opened).sdp).toContain('m=audio');
  });

  it('frees a device that is closed while it is described', async () => {
    const { phone, described } = scriptedPlane();
    let answer = (): void => undefined;
    described.mockReturnValueOnce(
      new Promise((resolve) => (answer = () => resolve({ sdp: 'late', held: false }))),
    );
    const { handle, events } = phone('a');
    await vi.waitFor(() => expect(described).toHaveBeenCalled());
    await handle.close();
    answer();
    await expect(handle.opened).rejects.toMatchObject({ code: 'INVALID_STATE' });
    expect(events).toEqual([]);
  });

  it('keeps nothing of a device that could not be opened', async () => {
    const slow = slowPlane();
    const a = slow.phone('a');
    const outcome = expect(a.opened).rejects.toThrow('no port');
    const closing = a.close();
    slow.fail(new Error('no port'));
    await Promise.all([closing, outcome]);
    expect(slow.closed).not.toHaveBeenCalled();
  });

  it('takes a delivery while it opens, and opens a device once', async () => {
    const slow = slowPlane();
    const { stream } = await slow.phone('b', OFFER).opened;
    const a = slow.phone('a');
    await a.setDelivery([stream!]);
    const second = slow.phone('a');
    await expect(second.opened).rejects.toMatchObject({ code: 'INVALID_STATE' });
    await second.close();
    slow.open();
    await a.opened;
    expect(slow.setTracks.mock.calls).toEqual([
      [[expect.objectContaining({ streamId: stream!.streamId })], true],
    ]);
  });

  it("evens the talkers' levels unless a delivery or, without a word of that, the configuration says otherwise", async () => {
    const evened = async (levelling?: boolean, said?: boolean): Promise<unknown[]> => {
      const slow = slowPlane(levelling === undefined ? {} : { levelling });
      const { stream } = await slow.phone('b', OFFER).opened;
      slow.open();
      const a = slow.phone('a');
      const entry = said === undefined ? stream! : { ...stream!, levelling: said };
      await a.setDelivery([entry]);
      await a.opened;
      await a.setDelivery([{ ...stream!, levelling: false }]);
      const levels = slow.setTracks.mock.calls.map(([, evens]: unknown[]) => evens);
      await plane?.stop();
      return levels;
    };
    expect(await evened()).toEqual([true, false]);
    expect(await evened(false)).toEqual([false]);
    expect(await evened(false, true)).toEqual([true, false]);
    expect(await evened(true, false)).toEqual([false]);
  });

  it('has mixes suppress the noise of the streams that a delivery says so of', async () => {
    const slow = slowPlane();
    const { stream } = await slow.phone('b', OFFER).opened;
    slow.open();
    const a = slow.phone('a');
    await a.opened;
    const suppressed = async (delivery: MediaDelivery): Promise<unknown> => {
      await a.setDelivery([delivery]);
      const [tracks] = slow.setTracks.mock.calls.at(-1) as [{ suppressesNoise: boolean }[]];
      return tracks[0]!.suppressesNoise;
    };
    expect(await suppressed(stream!)).toBe(false);
    expect(await suppressed({ ...stream!, noiseSuppression: true })).toBe(true);
    expect(await suppressed(stream!)).toBe(false);
  });

  it('delays requests until the device is open, and rejects them once it is closed', async () => {
    const slow = slowPlane();
    const a = slow.phone('a');
    const updated = a.update();
    slow.open();
    expect((await updated).sdp).toContain('m=audio');
    await a.close();
    await expect(a.sendDtmf({ digits: '1' })).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
    await expect(a.answer('')).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
    await a.setDelivery([]);
    await a.confirm('trusted');
  });
});

describe('events', () => {
  it('bring the statistics of each open device every five seconds, and once more when it is closed', async () => {
    vi.useFakeTimers();
    const { phone } = scriptedPlane();
    const [a, b] = [phone('a'), phone('b')];
    await Promise.all([a.handle.opened, b.handle.opened]);
    const sent = ({ events }: typeof a): unknown[] =>
      events.map((event) => event.type === 'statistics' && event.statistics.packetsSent);
    vi.advanceTimersByTime(STATISTICS_INTERVAL_MS - 1);
    expect([sent(a), sent(b)]).toEqual([[], []]);
    vi.advanceTimersByTime(1);
    expect([sent(a), sent(b)]).toEqual([[1], [2]]);
    await a.handle.close();
    await a.handle.close();
    vi.advanceTimersByTime(STATISTICS_INTERVAL_MS);
    expect([sent(a), sent(b)]).toEqual([
      [1, 3],
      [2, 4],
    ]);
    await b.handle.close();
    expect(sent(b)).toEqual([2, 4, 5]);
    // With no device open, no timer runs.
    expect(vi.getTimerCount()).toBe(0);
  });

  it('reach only the listener of their device, and not after its close', async () => {
    const { phone, contexts } = scriptedPlane();
    const [a, b] = [phone('a'), phone('b')];
    await Promise.all([a.handle.opened, b.handle.opened]);
    contexts[0]!.emit({ type: 'dtmf', digit: '1', durationMs: 100 });
    contexts[0]!.setStreams([stream('s')]);
    expect(a.events).toEqual([
      { type: 'dtmf', digit: '1', durationMs: 100 },
      { type: 'streams', streams: [{ streamId: 's', kinds: ['audio'], codecs: ['PCMU'] }] },
    ]);
    expect(b.events).toEqual([]);
    await a.handle.close();
    contexts[0]!.emit({ type: 'mediaLost', cause: 'timeout' });
    contexts[0]!.setStreams([stream('s')]);
    expect(a.events.slice(2).map(({ type }) => type)).toEqual(['statistics']);
  });

  it('are not sent for a stream that a closed device still publishes', async () => {
    const { phone, contexts, setTracks } = scriptedPlane();
    const [a, b] = [phone('a'), phone('b')];
    await Promise.all([a.handle.opened, b.handle.opened]);
    await b.handle.setDelivery([{ streamId: 's', kinds: ['audio'] }]);
    contexts[0]!.setStreams([stream('s')]);
    await a.handle.close();
    contexts[0]!.setStreams([stream('s')]);
    expect(setTracks.mock.calls.map(([tracks]: unknown[][]) => tracks!.length)).toEqual([1, 0]);
  });

  it('are not sent for a change of streams that the result of a request contains', async () => {
    const { phone, contexts, described } = scriptedPlane();
    const { handle, events } = phone('a');
    await handle.opened;
    described.mockImplementationOnce(() => {
      contexts[0]!.setStreams([stream('s')]);
      return Promise.resolve({ sdp: 'answer', held: false });
    });
    await handle.update('offer');
    expect(events).toEqual([]);
  });
});

describe('levels', () => {
  it('are pushed five times a second while they are watched, and cost nothing otherwise', async () => {
    vi.useFakeTimers();
    const { phone, contexts, takeLevels } = scriptedPlane();
    const [a, b] = [phone('a'), phone('b')];
    await Promise.all([a.handle.opened, b.handle.opened]);
    const timers = vi.getTimerCount();
    expect(contexts[0]!.metersSpeech()).toBe(false);
    a.handle.watchLevels(true);
    expect(contexts.map((context) => context.metersSpeech())).toEqual([true, false]);
    takeLevels.mockReturnValue([{ streamId: 's', levelDb: -20 }]);
    vi.advanceTimersByTime(400);
    takeLevels.mockReturnValue([]);
    vi.advanceTimersByTime(400);
    const heard = { type: 'levels', levels: [{ streamId: 's', levelDb: -20 }] };
    expect(a.events).toEqual([heard, heard, { type: 'levels', levels: [] }]);
    a.handle.watchLevels(false);
    takeLevels.mockClear();
    vi.advanceTimersByTime(1_000);
    expect(takeLevels).not.toHaveBeenCalled();
    b.handle.watchLevels(true);
    await b.handle.close();
    await b.handle.close();
    b.handle.watchLevels(true);
    expect(vi.getTimerCount()).toBe(timers);
  });
});

describe('lines for the log', () => {
  const written: MediaPlaneEvent[] = [];
  const log = logByEvents((event) => void written.push(event));
  const error = new MediaError('NO_PORT', 'No port.', { cause: new Error('EADDRINUSE') });

  it('cross the door as plain data, and are written as if they came from the same process', () => {
    log.warn({ err: error, port: 7 }, 'A line.');
    const [event] = written.splice(0);
    expect(structuredClone(event)).toEqual(event);
    const lines: string[] = [];
    const pinoLog = pino({ base: null, timestamp: false }, { write: (line) => void lines.push(line) });
    const plain = pinoLog.child({}, { serializers: { err: (value: unknown) => value } });
    pinoLog.warn({ err: error, port: 7 }, 'A line.');
    plain[event!.level](event!.fields, event!.message);
    expect(lines[1]).toBe(lines[0]);
    expect(lines[0]).toContain('caused by');
  });
});
