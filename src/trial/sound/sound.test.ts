import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { sine, toneLevel } from '../../../test/support/tones.js';
import { RtpPhone } from './index.js';
import { Player } from './player.js';
import { sungScale } from './sung-scale.js';

describe('the sung scale', () => {
  it.each([8000, 16_000, 48_000])(
    'goes up by an octave at %i Hz, within full scale, and repeats by frames',
    (rate) => {
      const samples = sungScale(rate);
      const note = Math.round(0.42 * rate);
      const level = (n: number, hz: number): number =>
        toneLevel(samples.subarray(n * note, (n + 1) * note), hz, rate);
      expect(level(0, 110)).toBeGreaterThan(level(0, 220 * 2 ** (1 / 2)) + 20);
      expect(level(7, 440)).toBeGreaterThan(level(7, 330) + 20);
      expect(samples.length % (rate / 50)).toBe(0);
      expect(samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)).toBeLessThan(16_384);
      expect(samples.at(-1)).toBe(0);
    },
  );
});

describe('a player', () => {
  it('plays what is queued once, in order, and then sings on', async () => {
    const player = new Player(8000);
    const frame = new Int16Array(160);
    player.fill(frame);
    const done = [player.play(new Int16Array(200).fill(5)), player.play(new Int16Array(10).fill(7))];
    player.fill(frame);
    expect([frame[0], frame[159]]).toEqual([5, 5]);
    player.fill(frame);
    await done[0];
    expect([frame[0], frame[39], frame[40]]).toEqual([5, 5, 0]);
    player.fill(frame);
    await done[1];
    expect([frame[0], frame[10]]).toEqual([7, 0]);
    player.fill(frame);
    expect(frame).toEqual(sungScale(8000).subarray(160, 320));
    player.sings = false;
    player.fill(frame);
    expect(frame).toEqual(new Int16Array(160));
    const dropped = player.play(new Int16Array(9000));
    player.stop();
    await dropped;
  });
});

describe('the phone of a test call', () => {
  it.each([
    [['PCMU', 'G722'], 'PCMU/8000'],
    [['PCMA'], 'PCMA/8000'],
    [['G722'], 'G722/8000'],
    [['opus'], 'opus/48000/2'],
  ])(
    'offers of %j the codec %s, sends to the answer, then to where audio comes from, and measures that',
    async (codecs, rtpmap) => {
      const phone = await RtpPhone.open('127.0.0.1', codecs);
      expect(phone.sdp).toContain(rtpmap);
      const [announced, real] = [createSocket('udp4'), createSocket('udp4')];
      for (const socket of [announced, real]) {
        socket.bind(0, '127.0.0.1');
        await once(socket, 'listening');
      }
      const rtp: Buffer[] = [];
      announced.on('message', (packet: Buffer) => packet[1]! < 192 && rtp.push(packet));
      const symmetric = once(real, 'message');
      phone.start(`v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio ${announced.address().port} RTP/AVP 0\r\n`);
      await expect.poll(() => rtp.length).toBeGreaterThan(3);
      expect(rtp[1]!.readUInt16BE(2)).toBe((rtp[0]!.readUInt16BE(2) + 1) & 0xffff);
      expect((rtp[1]!.readUInt32BE(4) - rtp[0]!.readUInt32BE(4)) >>> 0).toBe(phone.codec.clockRate / 50);

      const rate = phone.codec.mixRate();
      const encoder = phone.codec.createEncoder(rate);
      const tone = sine(400, rate);
      const port = Number(/m=audio (\d+)/.exec(phone.sdp)![1]);
      for (let n = 0; n < 100; n += 1) {
        const packet = Buffer.alloc(1500);
        const length = encoder.encode(tone(rate / 50), rate / 50, packet, 12);
        packet.set(rtp[0]!.subarray(0, 2));
        packet.writeUInt16BE(n, 2);
        packet.writeUInt32BE((n * phone.codec.clockRate) / 50, 4);
        packet.writeUInt32BE(77, 8);
        if (n !== 50) real.send(packet.subarray(0, 12 + length), port, '127.0.0.1');
      }
      await expect.poll(() => phone.heard.packets).toBe(99);
      await symmetric;
      expect(phone.heard).toMatchObject({ lost: 1, mos: expect.any(Number) as number });
      expect(phone.heard.levelDb).toBeGreaterThan(-25);
      phone.close();
      announced.close();
      real.close();
    },
  );
});
