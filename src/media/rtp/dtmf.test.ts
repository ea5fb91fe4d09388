import { beforeEach, describe, expect, it } from 'vitest';
import { rtpPacket } from './testing/packets.js';
import { DtmfReceiver } from './dtmf-receiver.js';
import { DtmfSender } from '../rtp/index.js';

interface Sent {
  readonly timestamp: number;
  readonly payload: Buffer;
  readonly begins: boolean;
  /** Absent: its place among those that are received. */
  readonly sequence?: number;
}

/** All packets of some digits as our sender makes them, one each 20 ms. */
function press(digits: string, durationMs = 100, clockRate = 8000): Sent[] {
  const sender = new DtmfSender();
  sender.add(digits, durationMs);
  const sent: Sent[] = [];
  let timestamp = 0;
  for (let step = 0; sender.busy; step += 1) {
    const payload = Buffer.alloc(4);
    if (!sender.next(20, clockRate, payload, 0)) continue;
    if (sender.begins) timestamp = step * 20 * (clockRate / 1000);
    sent.push({ timestamp, payload, begins: sender.begins });
  }
  return sent;
}

describe('DTMF sender', () => {
  it('sends one event with growing duration and three ends', () => {
    const packets = press('5');
    expect(packets.map(({ payload }) => payload.toString('hex'))).toEqual([
      '050a00a0',
      '050a0140',
      '050a01e0',
      '050a0280',
      '058a0320',
      '058a0320',
      '058a0320',
    ]);
    expect(packets.map(({ begins }) => begins)).toEqual([true, ...Array<boolean>(6).fill(false)]);
  });

  it('takes all digits in either case, and ignores other characters', () => {
    const sender = new DtmfSender();
    expect(sender.add('1 2-3*#abCD%')).toBe(9);
  });

  it('bounds its queue', () => {
    const sender = new DtmfSender();
    expect(sender.add('1'.repeat(1000))).toBe(128);
  });

  it('separates digits by a pause', () => {
    const sender = new DtmfSender();
    sender.add('11', 40);
    const steps: boolean[] = [];
    while (sender.busy) steps.push(sender.next(20, 8000, Buffer.alloc(4), 0));
    expect(steps.map((due) => (due ? 'x' : '.')).join('')).toBe('xxxx...xxxx...');
  });
});

describe('DTMF sender, asked for other lengths', () => {
  it('presses each digit, and pauses after it, for as long as was asked', () => {
    const sender = new DtmfSender();
    sender.add('1', 60, 80);
    sender.add('2', 40, 60);
    const steps: string[] = [];
    while (sender.busy) {
      const due = sender.next(20, 8000, Buffer.alloc(4), 0);
      steps.push(!due ? '.' : sender.repeatsEnd ? 'r' : 'x');
    }
    // 60 ms and 80 ms, 40 ms and 60 ms: the end is repeated at the start of the pause.
    expect(steps.join('')).toBe('xxxrr..xxrr.');
  });

  it('tells how much room it has', () => {
    const sender = new DtmfSender();
    sender.add('1'.repeat(126));
    expect(sender.room).toBe(2);
    sender.next(20, 8000, Buffer.alloc(4), 0);
    expect(sender.room).toBe(3);
  });
});

describe('DTMF receiver', () => {
  let digits: string[];
  let durations: number[];
  let receiver: DtmfReceiver;
  let now: number;

  beforeEach(() => {
    digits = [];
    durations = [];
    now = 0;
    receiver = new DtmfReceiver((digit, durationMs) => {
      digits.push(digit);
      durations.push(durationMs);
    });
  });

  const receive = (packets: readonly Sent[], lost: readonly number[] = [], clockRate = 8000): void => {
    packets.forEach(({ timestamp, payload, begins, sequence }, i) => {
      now += 20;
      receiver.poll(now);
      if (lost.includes(i)) return;
      const packet = rtpPacket({ sequence: sequence ?? i, timestamp, payload, marker: begins });
      receiver.onPacket(packet, 12, 16, clockRate, now);
    });
    now += 200;
    receiver.poll(now);
  };

  it('reports a key press once, with its duration', () => {
    receive(press('5'));
    expect([digits, durations]).toEqual([['5'], [100]]);
  });

  it('reads the 48 kHz clock', () => {
    receive(press('#', 100, 48000), [], 48000);
    expect([digits, durations]).toEqual([['#'], [100]]);
  });

  it('reports each of several presses of one key', () => {
    receive(press('1122'));
    expect(digits.join('')).toBe('1122');
  });

  it('reports once whichever packets are lost, as long as one comes', () => {
    const packets = press('7');
    for (let mask = 0; mask < 2 ** packets.length - 1; mask += 1) {
      digits.length = 0;
      const lost = packets.map((_, i) => i).filter((i) => (mask & (1 << i)) !== 0);
      receiver = new DtmfReceiver((digit) => digits.push(digit));
      receive(packets, lost);
      expect(digits, `lost ${lost.join()}`).toEqual(['7']);
    }
  });

  it('loses no press when the ends of all of them are lost', () => {
    const packets = press('4455');
    const ends = packets.flatMap(({ payload }, i) => ((payload[1]! & 0x80) !== 0 ? [i] : []));
    receive(packets, ends);
    expect(digits.join('')).toBe('4455');
  });

  it('counts the segments of a long press as one press', () => {
    const at = (timestamp: number, duration: number, end = false): Sent => ({
      timestamp,
      payload: Buffer.from([9, end ? 0x8a : 0x0a, duration >> 8, duration & 0xff]),
      begins: false,
    });
    receive([at(1000, 160), at(1000, 0xffff), at(1000 + 0xffff, 160), at(1000 + 0xffff, 4000, true)]);
    expect([digits, durations]).toEqual([['9'], [Math.round((0xffff + 4000) / 8)]]);
  });

  it('counts one press for a sender that advances the timestamp with each packet', () => {
    const packets = press('3').map((packet, i) => ({ ...packet, timestamp: i * 160 }));
    receive(packets.slice(0, 5));
    expect(digits).toEqual(['3']);
  });

  it('ignores packets of an earlier press that come late', () => {
    const packets = press('12').map((packet, sequence) => ({ ...packet, sequence }));
    const first = packets.slice(0, 7);
    const second = packets.slice(7);
    receive([...first, ...second.slice(0, 3), first[6]!, ...second.slice(3), second[6]!]);
    expect(digits.join('')).toBe('12');
  });

  it('ignores events that are no digits, and short payloads', () => {
    const tone = { timestamp: 0, payload: Buffer.from([66, 0x8a, 3, 32]), begins: true };
    receive([tone]);
    receiver.onPacket(
      rtpPacket({ sequence: 1, timestamp: 0, payload: Buffer.from([1, 0x80]) }),
      12,
      14,
      8000,
      0,
    );
    expect(digits).toEqual([]);
  });
});
