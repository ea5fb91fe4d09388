import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { findAudioCodec, toTrackCodec } from '../codecs/index.js';
import { sine } from '../phone/testing/spectrum.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PublishedTrack } from '../track.js';
import { MixGroups } from './mix-groups.js';
import { linear, Listener } from './testing/linear.js';

const PCMA = findAudioCodec('PCMA', 8000)!;
const SILENCE = new Int16Array(160);

/** Packets come just before they are read. */
let now = 0;
function makeGroups(): MixGroups {
  now = 0;
  return new MixGroups(() => now);
}

/** A phone that talks in A-law and hears samples. */
class Phone {
  readonly track: PublishedTrack;
  readonly ear: Listener;
  /** What others hear of it, frame by frame: the playout's reserve is one frame. */
  readonly said: Int16Array[] = [SILENCE];
  #n = 0;

  constructor(groups: MixGroups, name: string, format: ConstructorParameters<typeof Listener>[3] = {}) {
    this.track = new PublishedTrack({ kind: 'audio', streamId: name, codec: toTrackCodec(PCMA) });
    this.ear = new Listener(groups, 8000, this.track, format);
  }

  say(pcm: Int16Array): void {
    now = Math.max(now, this.#n * 20);
    const payload = Buffer.alloc(160);
    PCMA.createEncoder(8000).encode(pcm, 160, payload, 0);
    this.track.push(rtpPacket({ sequence: this.#n, timestamp: this.#n * 160, payload }), 12, 172, false);
    this.#n += 1;
    const decoded = new Int16Array(160);
    PCMA.createDecoder(8000).decode(payload, 0, 160, decoded, 0);
    this.said.push(decoded);
  }
}

const tone = (hertz: number, frame: number, amplitude = 3000): Int16Array =>
  sine(hertz, 8000, 160, frame * 160, amplitude);

describe('mixes of a host', () => {
  let groups: MixGroups;
  beforeEach(() => {
    groups = makeGroups();
  });

  /** Phones that all hear each other. */
  const conference = (count: number, format = {}): Phone[] => {
    const phones = Array.from({ length: count }, (_, i) => new Phone(groups, `p${i}`, format));
    for (const phone of phones) {
      const others = phones.filter((other) => other !== phone).map(({ track }) => track);
      phone.ear.mix.setTracks(others, false);
    }
    return phones;
  };
  let frame = 0;
  /** Runs frames in which some talk. @returns the last frame that each heard */
  const run = (phones: readonly Phone[], talking: readonly Phone[], frames: number): Int16Array[] => {
    let heard: Int16Array[] = [];
    for (let i = 0; i < frames; i += 1, frame += 1) {
      phones.forEach((phone, p) => phone.say(talking.includes(phone) ? tone(300 + 90 * p, frame) : SILENCE));
      heard = phones.map((phone) => phone.ear.hear(frame));
    }
    return heard;
  };

  it('mixes and encodes once for all who hear the same', () => {
    const phones = conference(6);
    run(phones, [phones[0]!], 20);
    // The five who hear the talker, and the talker, who hears nobody.
    expect(groups.size).toMatchObject({ groups: 2 });
    expect(new Set(phones.slice(1).map(({ ear }) => ear.mix.group)).size).toBe(1);
    run(phones, phones.slice(0, 2), 20);
    expect(groups.size).toMatchObject({ groups: 3 });
  });

  it('leaves out a stream that has been silent for 400 ms, and has it back at once', () => {
    const phones = conference(3);
    run(phones, [phones[0]!], 30);
    const shared = phones[1]!.ear.mix.group;
    expect(shared).toBe(phones[2]!.ear.mix.group);
    expect(shared!.set.streams).toHaveLength(1);
    run(phones, [], 19);
    expect(shared!.set.streams).toHaveLength(1);
    run(phones, [], 3);
    expect(shared!.set.streams).toHaveLength(0);
    const [, heard] = run(phones, [phones[0]!], 2);
    expect(Math.max(...heard!)).toBeGreaterThan(2500);
  });

  it('lets go of everything when the phones are gone', () => {
    const phones = conference(5);
    run(phones, phones, 20);
    for (const { ear } of phones) ear.mix.close();
    expect(groups.size).toEqual({ groups: 0, sets: 0 });
    expect(groups.decoders.size).toBe(0);
  });

  it('sends nobody what another was sent in place of the mix', () => {
    const phones = conference(3);
    run(phones, [phones[0]!], 30);
    const beep = new Int16Array(160).fill(1234);
    phones.forEach((phone, p) => phone.say(p === 0 ? tone(300, frame) : SILENCE));
    const group = phones[1]!.ear.mix.run(frame, beep);
    expect(group).not.toBe(phones[2]!.ear.mix.group);
    expect([...phones[2]!.ear.hear(frame)]).not.toContain(1234);
    frame += 1;
    run(phones, [phones[0]!], 2);
    expect(phones[1]!.ear.mix.group).toBe(phones[2]!.ear.mix.group);
  });

  it('goes on for the others when one is paused, and takes it back', () => {
    const phones = conference(4);
    run(phones, [phones[0]!], 30);
    phones[1]!.ear.mix.pause();
    for (let i = 0; i < 5; i += 1, frame += 1) {
      phones.forEach((phone, p) => phone.say(p === 0 ? tone(300, frame) : SILENCE));
      for (const phone of phones.slice(2)) phone.ear.hear(frame);
    }
    const heard = run(phones, [phones[0]!], 5);
    expect(heard[1]).toEqual(heard[2]);
    expect(phones[1]!.ear.mix.group).toBe(phones[2]!.ear.mix.group);
  });

  describe('with encoders that have memory', () => {
    const format = { codec: linear(8000, 'copied') };

    it('shares after 2 s of hearing the same at the earliest', () => {
      const phones = conference(3, format);
      run(phones, [phones[0]!], 90);
      expect(phones[1]!.ear.mix.group).not.toBe(phones[2]!.ear.mix.group);
      run(phones, [phones[0]!], 20);
      expect(phones[1]!.ear.mix.group).toBe(phones[2]!.ear.mix.group);
    });

    it('has a phone leave when its owner talks, and come back 2 s after', () => {
      const phones = conference(4, format);
      const [a, b, c, d] = phones.map(({ ear }) => ear.mix) as [
        Listener['mix'],
        Listener['mix'],
        Listener['mix'],
        Listener['mix'],
      ];
      run(phones, [phones[0]!], 110);
      expect([b.group, c.group]).toEqual([d.group, d.group]);
      const shared = d.group;
      run(phones, [phones[0]!, phones[1]!], 5);
      expect(b.group).not.toBe(shared);
      expect([c.group, d.group]).toEqual([shared, shared]);
      // 400 ms until b counts as silent, and 2 s of hearing the same.
      run(phones, [phones[0]!], 115);
      expect(b.group).not.toBe(shared);
      run(phones, [phones[0]!], 10);
      expect(b.group).toBe(shared);
      expect(a.group).not.toBe(shared);
    });

    it('whose memory cannot be copied are exchanged in silence only', () => {
      const phones = conference(3, { codec: linear(8000, 'opaque') });
      run(phones, [], 10);
      // Fresh ones may begin anywhere.
      expect(phones[1]!.ear.mix.group).toBe(phones[2]!.ear.mix.group);
      run(phones, [phones[1]!], 30);
      expect(phones[1]!.ear.mix.group).not.toBe(phones[2]!.ear.mix.group);
      run(phones, [phones[0]!], 200);
      expect(phones[1]!.ear.mix.group).not.toBe(phones[2]!.ear.mix.group);
      run(phones, [], 30);
      expect(phones[1]!.ear.mix.group).toBe(phones[2]!.ear.mix.group);
    });
  });

  it('is within a rounding step of the sum of the audible streams, whatever is subscribed and said', () => {
    const COUNT = 6;
    const step = fc.record({
      talking: fc.uniqueArray(fc.integer({ min: 0, max: COUNT - 1 })),
      frames: fc.constantFrom(1, 3, 25),
      resubscribe: fc.option(
        fc.record({
          who: fc.integer({ min: 0, max: COUNT - 1 }),
          whom: fc.uniqueArray(fc.integer({ min: 0, max: COUNT - 1 })),
        }),
      ),
      pause: fc.option(fc.integer({ min: 0, max: COUNT - 1 })),
    });
    const memory = fc.constantFrom('none' as const, 'copied' as const, 'opaque' as const);
    fc.assert(
      fc.property(memory, fc.array(step, { maxLength: 8 }), (encoderMemory, steps) => {
        groups = makeGroups();
        const phones = conference(COUNT, { codec: linear(8000, encoderMemory) });
        const heardBy = phones.map((phone) => new Set(phones.filter((other) => other !== phone)));
        const lastLoud = phones.map(() => -Infinity);
        let at = settle(phones, 0);
        for (const { talking, frames, resubscribe, pause } of steps) {
          if (resubscribe) {
            const whom = resubscribe.whom.filter((i) => i !== resubscribe.who).map((i) => phones[i]!);
            heardBy[resubscribe.who] = new Set(whom);
            phones[resubscribe.who]!.ear.mix.setTracks(
              whom.map(({ track }) => track),
              false,
            );
            // A stream that nobody heard begins anew, with its reserve.
            at = settle(phones, at);
          }
          if (pause !== null) phones[pause]!.ear.mix.pause();
          for (let i = 0; i < frames; i += 1, at += 1) {
            phones.forEach((phone, p) =>
              phone.say(talking.includes(p) ? tone(300 + 90 * p, at, 1000) : SILENCE),
            );
            for (const [p, phone] of phones.entries()) {
              if (Math.max(...phone.said.at(-2)!) > 100) lastLoud[p] = at;
            }
            for (const [p, phone] of phones.entries()) {
              const heard = phone.ear.hear(at);
              const sum = Array<number>(160).fill(0);
              for (const other of heardBy[p]!) {
                const isAudible = at - lastLoud[phones.indexOf(other)]! < 20 || heardBy[p]!.size === 1;
                if (isAudible) for (let s = 0; s < 160; s += 1) sum[s]! += other.said.at(-2)![s]!;
              }
              const apart = heard.reduce((most, sample, s) => Math.max(most, Math.abs(sample - sum[s]!)), 0);
              expect(apart).toBeLessThanOrEqual(1);
            }
          }
        }
        for (const { ear } of phones) ear.mix.close();
        expect(groups.size).toEqual({ groups: 0, sets: 0 });
      }),
      { numRuns: 25 },
    );
  });
});

/** Has everyone be silent until nobody is audible. */
function settle(phones: readonly Phone[], at: number): number {
  for (let i = 0; i < 30; i += 1, at += 1) {
    for (const phone of phones) phone.say(SILENCE);
    for (const phone of phones) phone.ear.hear(at);
  }
  return at;
}
