import { beforeEach, describe, expect, it, vi } from 'vitest';
import { AUDIO_CODECS, findAudioCodec, toTrackCodec } from '../codecs/index.js';
import { sine, toneLevel } from '../phone/testing/spectrum.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PublishedTrack } from '../track.js';
import { Listener } from '../audio/testing/linear.js';
import { SampleStage } from './testing/sample-stage.js';

const RATES = [8000, 16_000, 24_000, 48_000] as const;
/** Frames of sound among some. */
const sounding = (frames: readonly Int16Array[]): number => frames.filter((pcm) => pcm.some(Boolean)).length;

let stage: SampleStage;
beforeEach(() => {
  stage = new SampleStage();
});

describe('what a program sends', () => {
  it('is played in real time, as it was, however much of it comes at once', () => {
    const speaker = stage.program('speaker');
    const listener = stage.program('listener').hear(speaker.track);
    const speech = sine(440, 8000, 24_000);
    speaker.play(speech);
    stage.run(100);
    expect(listener.received).toHaveLength(100);
    stage.run(100);
    const { received, heard } = listener;
    expect(sounding(received)).toBe(150);
    const start = heard.findIndex(Boolean) - 1;
    expect(heard.slice(start, start + speech.length)).toEqual(speech);
  });

  it('waits for more than a frame, or for 5 ms, after a silence', () => {
    let now = 1000;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    const speaker = stage.program('speaker');
    const listener = stage.program('listener').hear(speaker.track);
    const frame = sine(440, 8000, 160);
    speaker.play(frame);
    now += 4;
    stage.run(1);
    expect(sounding(listener.received)).toBe(0);
    now += 20;
    stage.run(1);
    expect(sounding(listener.received)).toBe(1);
    stage.run(2);
    speaker.play(frame);
    speaker.play(frame);
    stage.run(1);
    expect(sounding(listener.received)).toBe(2);
    clock.mockRestore();
  });

  it('is as loud as the loudest frame that was played since it was asked', () => {
    const speaker = stage.program('speaker');
    stage.run(1);
    speaker.play(sine(440, 8000, 800));
    stage.run(10);
    const [level] = speaker.endpoint.takeLevels();
    expect(level!.streamId).toBe(speaker.track.streamId);
    expect(level!.levelDb).toBeGreaterThan(-20);
    expect(speaker.endpoint.takeLevels()).toEqual([]);
    stage.run(1);
    expect(speaker.endpoint.takeLevels()[0]!.levelDb).toBe(-127);
  });

  it('ends within a frame when it is cleared, without a click, and its marks are answered', () => {
    const speaker = stage.program('speaker');
    const listener = stage.program('listener').hear(speaker.track);
    speaker.play(sine(440, 8000, 8000));
    speaker.endpoint.mark('one second');
    stage.run(10);
    speaker.endpoint.clear();
    expect(speaker.marks).toEqual(['one second']);
    stage.run(1);
    const last = listener.received.at(-1)!;
    expect(last.subarray(0, 40).some(Boolean)).toBe(true);
    expect(last.subarray(40).every((sample) => sample === 0)).toBe(true);
    const steps = listener.heard.map((sample, i, all) => Math.abs(sample - (all[i - 1] ?? 0)));
    expect(Math.max(...steps)).toBeLessThanOrEqual(8000 * ((2 * Math.PI * 440) / 8000) + 1);
    stage.run(50);
    expect(sounding(listener.received.slice(-50))).toBe(0);
  });

  it('answers a mark when all before it has been sent, and one without anything before it at once', () => {
    const speaker = stage.program('speaker');
    speaker.endpoint.mark('at once');
    expect(speaker.marks).toEqual(['at once']);
    speaker.play(sine(440, 8000, 800));
    speaker.endpoint.mark('half');
    speaker.play(sine(440, 8000, 800));
    speaker.endpoint.mark('whole');
    stage.run(4);
    expect(speaker.marks).toEqual(['at once']);
    stage.run(1);
    expect(speaker.marks).toEqual(['at once', 'half']);
    stage.run(4);
    expect(speaker.marks).not.toContain('whole');
    stage.run(1);
    expect(speaker.marks).toEqual(['at once', 'half', 'whole']);
  });

  it('that comes in real time is played with the delay that it needs, also after a stall', () => {
    const speaker = stage.program('speaker');
    const listener = stage.program('listener').hear(speaker.track);
    let sent = 0;
    const say = (frames: number): void => {
      speaker.play(sine(440, 8000, 160 * frames, sent));
      sent += 160 * frames;
    };
    const run = (frames: number) => stage.run(frames, () => say(1));
    run(100);
    // Half a second of frames that were not made.
    say(25);
    run(50);
    const marked = (text: string): number => {
      speaker.endpoint.mark(text);
      const from = stage.frame;
      while (!speaker.marks.includes(text)) run(1);
      return (stage.frame - from) * 20;
    };
    expect(marked('late')).toBeGreaterThanOrEqual(500);
    run(400);
    expect(marked('in time')).toBeLessThanOrEqual(60);
    // Without a gap or a click.
    const heard = listener.heard.subarray(listener.heard.findIndex(Boolean));
    const steps = heard.map((sample, i) => Math.abs(sample - (heard[i - 1] ?? 0)));
    expect(Math.max(...steps)).toBeLessThan(1.3 * 8000 * ((2 * Math.PI * 440) / 8000));
    expect(listener.received.slice(3).every((pcm) => pcm.some(Boolean))).toBe(true);
  });

  it('finds no room in a queue that is full, which is counted and told once a second', () => {
    const speaker = stage.program('speaker', { queueMs: 1000 });
    speaker.play(sine(440, 8000, 12_000));
    const overflows = () => speaker.events.filter(({ type }) => type === 'overflow');
    expect(overflows()).toEqual([{ type: 'overflow', droppedMs: 500 }]);
    speaker.play(sine(440, 8000, 800));
    expect(overflows()).toHaveLength(1);
    expect(speaker.endpoint.statistics().quality?.received).toMatchObject({ packets: 80, discarded: 30 });
    const listener = stage.program('listener').hear(speaker.track);
    stage.run(100);
    expect(sounding(listener.received)).toBe(50);
  });

  it('becomes Opus only while somebody wants packets, once for all, and no packets in silence', () => {
    const speaker = stage.program('speaker', { rate: 24_000 });
    const packets: Buffer[] = [];
    const sink = { wantsAudio: false, onPacket: (packet: Buffer) => packets.push(Buffer.from(packet)) };
    speaker.track.attach(sink);
    speaker.play(sine(440, 24_000, 24_000));
    stage.run(10);
    expect(packets).toHaveLength(0);
    sink.wantsAudio = true;
    stage.run(100);
    // 40 frames were left, and 10 of silence follow.
    expect(packets).toHaveLength(50);
    expect(packets.map((packet) => packet[1]! >> 7)).toEqual([1, ...Array<number>(49).fill(0)]);
    const timestamps = packets.map((packet) => packet.readUInt32BE(4));
    expect(timestamps.map((timestamp) => timestamp - timestamps[0]!)).toEqual(packets.map((_, i) => 960 * i));
  });

  it('reaches a phone without a codec between', () => {
    const speaker = stage.program('speaker');
    const ear = new Listener(stage.mixing.groups, 8000);
    ear.mix.setTracks([speaker.track], false);
    const speech = sine(440, 8000, 1600);
    speaker.play(speech);
    const heard: number[] = [];
    stage.run(12, (frame) => heard.push(...ear.hear(frame)));
    expect(heard.slice(0, 1600)).toEqual([...speech]);
  });

  it('may be keys, which others are told, and what is said waits for their end', () => {
    const speaker = stage.program('speaker');
    const listener = stage.program('listener').hear(speaker.track);
    const { streamId } = speaker.track;
    speaker.endpoint.sendDtmf({ digits: '5#' });
    speaker.play(sine(440, 8000, 1600));
    stage.run(30);
    expect(listener.digits).toEqual([`${streamId} 5`, `${streamId} #`]);
    const first = listener.received.findIndex((pcm) => pcm.some(Boolean));
    expect(first).toBeGreaterThanOrEqual(19);
    expect(sounding(listener.received)).toBe(10);
    expect(() => speaker.endpoint.sendDtmf({ digits: '1'.repeat(129) })).toThrow('Too many digits');
  });
});

describe('what a program receives', () => {
  it.each(RATES)('is 20 ms at a time at %i Hz, silence too', (rate) => {
    const speaker = stage.program('speaker', { rate: 16_000 });
    const listener = stage.program('listener', { rate }).hear(speaker.track);
    speaker.play(sine(1000, 16_000, 16_000));
    stage.run(60);
    const { received, heard } = listener;
    expect(received).toHaveLength(60);
    expect(new Set(received.map(({ length }) => length))).toEqual(new Set([rate / 50]));
    expect(toneLevel(heard.subarray(rate / 5, rate), rate, 1000)).toBeCloseTo(8000 / 32_768, 2);
  });

  it.each(['PCMU', 'PCMA', 'G722', 'opus'])('of a phone with %s is the same at each rate', (name) => {
    const codec = AUDIO_CODECS.find((one) => one.name === name)!;
    const rate = codec.mixRate();
    const encoder = codec.createEncoder(rate);
    const track = new PublishedTrack({ kind: 'audio', streamId: 'phone', codec: toTrackCodec(codec) });
    const listeners = RATES.flatMap((to) =>
      (['mix', 'streams'] as const).map((channels) =>
        stage.program(`${to} ${channels}`, { rate: to, channels }).hear(track),
      ),
    );
    const payload = Buffer.alloc(400);
    for (let n = 0; n < 60; n += 1) {
      const length = encoder.encode(sine(1000, rate, rate / 50, (n * rate) / 50), rate / 50, payload, 0);
      const timestamp = (n * codec.clockRate) / 50;
      const packet = rtpPacket({ sequence: n, timestamp, payload: payload.subarray(0, length) });
      track.push(packet, 12, packet.length, false);
      stage.run(1);
    }
    for (const { heard, rate: at } of listeners) {
      const settled = heard.subarray(at / 5, at);
      expect(20 * Math.log10(toneLevel(settled, at, 1000) / (8000 / 32_768))).toBeCloseTo(0, -0.1);
    }
  });

  it('is converted once for all programs that hear the same', () => {
    const speaker = stage.program('speaker');
    const listeners = RATES.flatMap((rate) => [1, 2, 3].map((n) => stage.program(`${rate} ${n}`, { rate })));
    for (const listener of listeners) listener.hear(speaker.track);
    speaker.play(sine(440, 8000, 8000));
    stage.run(30);
    expect(stage.mixing.groups.size.groups).toBe(5);
  });

  const PCMU = findAudioCodec('PCMU', 8000)!;
  const phone = () => new PublishedTrack({ kind: 'audio', streamId: 'phone', codec: toTrackCodec(PCMU) });
  const say = (track: PublishedTrack, n: number): void => {
    const payload = Buffer.alloc(160);
    PCMU.createEncoder(8000).encode(sine(440, 8000, 160, n * 160), 160, payload, 0);
    track.push(rtpPacket({ sequence: n, timestamp: 160 * n, payload }), 12, 172, false);
  };

  it('is each stream by itself where it asked for that, on arrival', () => {
    const track = phone();
    const speaker = stage.program('speaker');
    const listener = stage
      .program('listener', { channels: 'streams', rate: 24_000 })
      .hear(track, speaker.track);
    say(track, 0);
    expect(listener.events).toMatchObject([{ type: 'audio', streamId: 'phone' }]);
    speaker.play(sine(440, 8000, 320));
    stage.run(5);
    const streams = listener.events.map((event) => (event.type === 'audio' ? event.streamId : event.type));
    expect(streams).toEqual([
      'phone',
      speaker.track.streamId,
      speaker.track.streamId,
      speaker.track.streamId,
    ]);
    expect(listener.received.map(({ length }) => length)).toEqual([480, 480, 480, 480]);
    listener.hear(speaker.track);
    say(track, 1);
    expect(listener.received).toHaveLength(4);
    expect(track.sinkCount).toBe(0);
  });

  it('has short gaps of a stream concealed, long ones left out, and late packets dropped', () => {
    const track = phone();
    const listener = stage.program('listener', { channels: 'streams' }).hear(track);
    for (const n of [0, 1, 2, 4, 3, 5, 50]) say(track, n);
    expect(listener.received).toHaveLength(7);
    expect(track.played).toEqual({ discarded: 1, concealedMs: 20 });
  });

  it('ends with it', async () => {
    const track = phone();
    const listener = stage.program('listener', { channels: 'streams' }).hear(track);
    const { track: own } = listener;
    await listener.endpoint.close();
    await listener.endpoint.close();
    expect([track.sinkCount, own.ended, stage.listening]).toEqual([0, true, 0]);
  });
});
