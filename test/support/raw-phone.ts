import { Encoder } from '@evan/opus';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { aLawEncode, muLawEncode, PHONE_RATE, sine } from './tones.js';
import type { RtpAddress } from './tone-socket.js';
import { until } from './until.js';

const PACKET_MS = 20;
const SAMPLES = (PHONE_RATE / 1000) * PACKET_MS;
/** The phone's payload type for Opus. */
export const OPUS = 96;

interface EventFields {
  readonly digit: string;
  readonly duration: number;
  readonly end: boolean;
  readonly marker?: boolean;
  readonly timestamp: number;
  readonly payloadType?: number;
  readonly ssrc?: number;
  /** Absent: the next of the audio. */
  readonly sequence?: number;
}

/** A phone whose RTP header fields the test can set; between changes they continue as usual. */
export class RawPhone {
  sequence = 20_000;
  timestamp = 0x60000000;
  ssrc = 0x11112222;
  payloadType = 0;
  /** Audio that it said, and what came to it. */
  packets = 0;
  received = 0;
  /** Of packets of Opus. */
  opusMs = PACKET_MS;
  readonly #opus = new Encoder({ channels: 1, sample_rate: 48_000, application: 'voip' });
  readonly #opusTone = sine(500, 48_000);
  readonly #socket: Socket;
  #remote: RtpAddress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #tone = sine(500, PHONE_RATE);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', () => (this.received += 1));
  }

  static async open(): Promise<RawPhone> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new RawPhone(socket);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  set frequency(hertz: number) {
    this.#tone = sine(hertz, PHONE_RATE);
  }

  start(remote: RtpAddress): void {
    this.#remote = remote;
    let due = performance.now();
    this.#timer = setInterval(() => {
      while (due <= performance.now()) {
        if (this.payloadType === OPUS) this.#sayOpus();
        else this.#say();
        due += this.payloadType === OPUS ? this.opusMs : PACKET_MS;
      }
    }, PACKET_MS / 2);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }

  /** Waits until so many more audio packets are sent. */
  async later(packets: number): Promise<void> {
    const goal = this.packets + packets;
    await until(`${packets} packets said`, () => this.packets >= goal, { withinMs: 20_000, everyMs: 10 });
  }

  /** Sends one audio packet that does not belong to the stream. */
  stray(sequence: number): void {
    this.#send(Buffer.alloc(SAMPLES, 0xff), this.payloadType, false, sequence, this.timestamp, this.ssrc);
  }

  event(fields: EventFields): void {
    const { digit, duration, end, marker = false, timestamp, payloadType = 101, ssrc = this.ssrc } = fields;
    const payload = Buffer.of(Number(digit), (end ? 0x80 : 0) | 10, duration >> 8, duration & 0xff);
    this.#send(payload, payloadType, marker, fields.sequence ?? this.sequence++, timestamp, ssrc);
  }

  /** Sends one press as RFC 4733 describes, its end three times. */
  press(digit: string, timestamp = this.timestamp, payloadType = 101): void {
    [160, 320, 480, 640, 800, 800, 800].forEach((duration, i) =>
      this.event({ digit, duration, end: i >= 4, marker: i === 0, timestamp, payloadType }),
    );
  }

  /** A press whose timestamp moves with each packet after the first `still` ones. */
  pressMoving(digit: string, still: number): void {
    [160, 320, 480, 640, 800, 800, 800].forEach((duration, i) =>
      this.event({
        digit,
        duration,
        end: i >= 4,
        timestamp: this.timestamp + 160 * Math.max(0, i - still),
      }),
    );
  }

  /** A press on an SSRC of its own, beside audio that goes on. @param sequence of its first packet; there are ten */
  async pressBeside(digit: string, sequence: number, timestamp: number): Promise<void> {
    for (let i = 0; i < 10; i += 1) {
      const duration = 160 * Math.min(8, i + 1);
      const fields = { digit, duration, end: i >= 7, marker: i === 0, timestamp };
      this.event({ ...fields, ssrc: 0x33334444, sequence: sequence + i });
      await this.later(1);
    }
  }

  #say(): void {
    const encode = this.payloadType === 8 ? aLawEncode : muLawEncode;
    const payload = Buffer.from(Array.from(this.#tone(SAMPLES), encode));
    this.#send(payload, this.payloadType, false, this.sequence++, this.timestamp, this.ssrc);
    this.timestamp += SAMPLES;
    this.packets += 1;
  }

  #sayOpus(): void {
    const samples = 48 * this.opusMs;
    const payload = Buffer.from(this.#opus.encode(this.#opusTone(samples)));
    this.#send(payload, OPUS, false, this.sequence++, this.timestamp, this.ssrc);
    this.timestamp += samples;
    this.packets += 1;
  }

  #send(
    payload: Buffer,
    payloadType: number,
    marker: boolean,
    sequence: number,
    timestamp: number,
    ssrc: number,
  ): void {
    if (!this.#remote) return;
    const header = Buffer.alloc(12);
    header[0] = 0x80;
    header[1] = (marker ? 0x80 : 0) | payloadType;
    header.writeUInt16BE(sequence & 0xffff, 2);
    header.writeUInt32BE(timestamp >>> 0, 4);
    header.writeUInt32BE(ssrc, 8);
    this.#socket.send(Buffer.concat([header, payload]), this.#remote.port, this.#remote.host);
  }
}
