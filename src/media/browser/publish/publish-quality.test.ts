import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OPUS } from '../../codecs/opus.js';
import { sine } from '../../phone/testing/spectrum.js';
import { directionQuality } from '../../quality/index.js';
import { type BrowserOffer, browserOffer, type OfferedMediaLine } from '../testing/browser-sdp.js';
import { FakeTransports } from '../testing/fake-transports.js';
import { rtpPacket } from '../testing/packets.js';
import { PublishConnection } from './publish-connection.js';

const MIC: OfferedMediaLine = { kind: 'audio', mid: '1', msid: 'camera', ssrc: 11 };
const CAMERA: OfferedMediaLine = { kind: 'video', mid: '2', msid: 'camera', ssrc: 21, rtxSsrc: 22 };

function setUp(metersSpeech: () => boolean = () => false) {
  const transports = new FakeTransports();
  const onSpeaking = vi.fn();
  const connection = new PublishConnection({
    transports,
    cname: 'gateway',
    onHeard: () => undefined,
    onAbuse: () => undefined,
    onDigit: () => undefined,
    onSpeaking,
    metersSpeech,
    inherited: false,
    onStuck: () => undefined,
    onStreams: () => undefined,
  });
  const offer = (description: BrowserOffer): Promise<string> =>
    connection.negotiate({ sdpOffer: browserOffer(description), allowedKinds: ['audio', 'video'] });
  const receive = (packet: Buffer): void => transports.last.handlers.onPacket(packet);
  return { connection, offer, receive, onSpeaking };
}

describe('what a page publishes', () => {
  beforeEach(
    () =>
      void vi.useFakeTimers({
        toFake: ['setTimeout', 'setInterval', 'clearInterval', 'clearTimeout', 'performance'],
      }),
  );
  afterEach(() => void vi.useRealTimers());

  it('is counted, its audio over changes of SSRC and of what is published', async () => {
    const { connection, offer, receive } = setUp();
    await offer({ media: [MIC, CAMERA] });
    const say = (ssrc: number): void => {
      for (const sequence of [1, 2, 3, 5])
        receive(rtpPacket({ ssrc, sequence, payloadType: 111, extensions: { 4: Buffer.from('1') } }));
    };
    const quality = () => directionQuality(connection.audioFigures(30));
    expect(quality()).toEqual({ packets: 0, roundTripMs: 30 });
    say(11);
    expect(quality()).toMatchObject({ packets: 4, lost: 1, roundTripMs: 30 });
    say(12);
    expect(quality()).toMatchObject({ packets: 8, lost: 2 });
    await offer({ media: [CAMERA] });
    expect(quality()).toMatchObject({ packets: 8, lost: 2 });
  });

  /** A page that publishes Opus; `say` sends that many packets of a tone of this level. */
  async function talkingPage(withLevels: boolean, metersSpeech: () => boolean) {
    const { connection, offer, receive, onSpeaking } = setUp(metersSpeech);
    const answer = await offer({ media: [MIC] });
    expect(answer).toContain('a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level');
    const encoder = OPUS.createEncoder(48_000);
    const payload = Buffer.alloc(1500);
    let sequence = 0;
    const say = (packets: number, db: number): void => {
      for (let i = 0; i < packets; i += 1) {
        vi.advanceTimersByTime(20);
        const amplitude = db < -100 ? 0 : 32768 * 10 ** ((db + 3) / 20);
        const pcm = sine(500, 48_000, 960, 960 * sequence, amplitude);
        const length = encoder.encode(pcm, 960, payload, 0);
        receive(
          rtpPacket({
            ssrc: 11,
            sequence: (sequence += 1),
            payload: Buffer.from(payload.subarray(0, length)),
            ...(withLevels && { extensions: { 1: Buffer.of(0x80 | -db) } }),
          }),
        );
      }
    };
    const levelDb = () => directionQuality(connection.audioFigures(undefined)).levelDb;
    return { connection, onSpeaking, say, levelDb };
  }

  it.each([
    ['the level in each packet', true, false],
    ['the audio where the page sends no levels, as was asked for', false, true],
  ])('tells by %s when somebody speaks', async (_, withLevels, metersSpeech) => {
    const { connection, onSpeaking, say, levelDb } = await talkingPage(withLevels, () => metersSpeech);
    say(50, -127);
    expect(onSpeaking).not.toHaveBeenCalled();
    say(8, -20);
    const { streamId } = connection.streams[0]!;
    expect(onSpeaking.mock.calls).toEqual([[streamId, true, expect.closeTo(-20, 0) as number]]);
    expect(levelDb()).toBeCloseTo(-20, 0);
    say(withLevels ? 31 : 40, -127);
    expect(onSpeaking).toHaveBeenCalledTimes(2);
    say(8, -20);
    // A page that stops sending.
    vi.advanceTimersByTime(2_000);
    expect(onSpeaking.mock.calls.map(([, isSpeaking]) => isSpeaking as boolean)).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  it.each([true, false])(
    'is as loud as its loudest packet since it was asked (levels sent: %s)',
    async (sent) => {
      let isWatched = sent;
      const { connection, say } = await talkingPage(sent, () => isWatched);
      say(5, -20);
      const { streamId } = connection.streams[0]!;
      const levelDb = expect.closeTo(-20, 0) as number;
      expect(connection.takeLevels()).toEqual(sent ? [{ streamId, levelDb }] : []);
      isWatched = true;
      say(5, -40);
      say(5, -20);
      say(5, -40);
      expect(connection.takeLevels()).toEqual([{ streamId, levelDb }]);
      expect(connection.takeLevels()).toEqual([]);
    },
  );

  it('is decoded for no level that nobody asked for', async () => {
    const createLevelMeter = vi.spyOn(OPUS, 'createLevelMeter');
    const { connection, onSpeaking, say, levelDb } = await talkingPage(false, () => false);
    say(50, -127);
    say(50, -20);
    expect(createLevelMeter).not.toHaveBeenCalled();
    expect(onSpeaking).not.toHaveBeenCalled();
    expect(levelDb()).toBeUndefined();
    // A mix that decodes it for somebody tells.
    const mix = { onPacket: () => undefined, power: 0 };
    connection.streams[0]!.tracks[0]!.attach(mix);
    say(50, -127);
    mix.power = 0.01;
    say(8, -20);
    expect(onSpeaking).toHaveBeenCalledOnce();
    expect(levelDb()).toBeCloseTo(-20, 0);
  });
});
