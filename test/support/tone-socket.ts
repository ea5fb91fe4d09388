import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { aLawDecode, aLawEncode, muLawDecode, muLawEncode, PHONE_RATE, sine, toneLevel } from './tones.js';
import { until } from './until.js';

/** Static payload types of RFC 3551 that a tone socket speaks. */
export const PCMU = 0;
export const PCMA = 8;

const DEFAULT_PACKET_MS = 20;
const SAMPLES_MS = PHONE_RATE / 1000;

/** Length of the latest audio in which a tone is searched. */
const WINDOW_MS = 200;

/** Two seconds of audio are kept. */
const KEPT_PACKETS = 100;

/** A second of audio in packets of 20 ms. */
const SECOND_PACKETS = 50;

/** A tone counts as heard above this level (dB of full scale), and as gone below the other. */
const HEARD_DB = -35;
const GONE_DB = -50;

const DIGITS = '0123456789*#ABCD';

/** Where RTP goes to. */
export interface RtpAddress {
  readonly host: string;
  readonly port: number;
}

interface SendDigitOptions {
  /** Which of the packets of the event get lost on the way. */
  readonly lose?: (index: number, count: number) => boolean;
}

/** Encryption of a phone's packets. */
interface Sealing {
  seal(packet: Buffer): Buffer;
  open(packet: Buffer): Buffer;
}

interface Heard {
  readonly at: number;
  readonly samples: Int16Array;
}

/**
 * The media of a test phone: one UDP socket that sends a tone as G.711 every 20 ms and recognises the tones and DTMF
 * digits that it receives.
 */
export class ToneSocket {
  /** Packets that came, by payload type. */
  readonly received = new Map<number, number>();
  /** DTMF digits that came by RFC 4733, each event once. */
  digits = '';
  /** Payload type of the tone. */
  codec = PCMU;
  /** Payload type of telephone-events, both ways. */
  eventType = 101;
  /** Length of the packets that go out, in ms. */
  packetMs = DEFAULT_PACKET_MS;
  /** RTP packets that did not follow upon the one before: another source, or numbers in between that never came. */
  breaks = 0;
  /** RTCP packets that came on the RTP port (RFC 5761). */
  rtcp = 0;
  /** Absent: plain RTP. */
  sealing: Sealing | undefined;
  readonly #socket: Socket;
  readonly #ssrc = Math.floor(Math.random() * 2 ** 32);
  #tone: (count: number) => Int16Array;
  #remote: RtpAddress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sequence = Math.floor(Math.random() * 2 ** 15);
  #timestamp = Math.floor(Math.random() * 2 ** 32);
  #heard: Heard[] = [];
  #lastPacketAt: number | undefined;
  #lastNumbers: { readonly ssrc: number; readonly sequence: number } | undefined;
  #longestGapMs = 0;
  #lastEvent = -1;

  private constructor(socket: Socket, frequency: number) {
    this.#socket = socket;
    this.#tone = sine(frequency, PHONE_RATE);
    socket.on('message', (packet) => this.#receive(packet));
  }

  /** Binds a free port of an address, by default of 127.0.0.1. */
  static async open(options: { frequency: number; host?: string }): Promise<ToneSocket> {
    const { frequency, host = '127.0.0.1' } = options;
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.bind(0, host);
    await once(socket, 'listening');
    return new ToneSocket(socket, frequency);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Where the tone goes to; undefined before {@link start}. */
  get remote(): RtpAddress | undefined {
    return this.#remote;
  }

  /** All packets that came. */
  get packets(): number {
    return [...this.received.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Longest time without an RTP packet since {@link resetLongestGap}, including a present gap. */
  get longestGapMs(): number {
    const present = this.#lastPacketAt === undefined ? 0 : performance.now() - this.#lastPacketAt;
    return Math.max(this.#longestGapMs, present);
  }

  resetLongestGap(): void {
    this.#longestGapMs = 0;
    this.#lastPacketAt = performance.now();
  }

  set frequency(frequency: number) {
    this.#tone = sine(frequency, PHONE_RATE);
  }

  /** Sends steady white noise of this level (dBov) in place of the tone. */
  set noise(level: number) {
    const peak = 32_768 * Math.sqrt(3) * 10 ** (level / 20);
    this.#tone = (count) => Int16Array.from({ length: count }, () => peak * (2 * Math.random() - 1));
  }

  /** Sends the tone, from now on, to this address. */
  start(remote: RtpAddress): void {
    this.#remote = remote;
    if (this.#timer) return;
    let due = performance.now();
    this.#timer = setInterval(() => {
      // Timers are late, so send all packets that are due by the clock.
      for (; due <= performance.now(); due += this.packetMs) this.#sendTone();
    }, DEFAULT_PACKET_MS / 2);
  }

  /** Stops sending; goes on listening. */
  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    this.pause();
    this.#socket.close();
  }

  /** Level of a tone in the latest 200 ms of what came, in dB of full scale. */
  level(frequency: number): number {
    const since = performance.now() - WINDOW_MS;
    const latest = this.#heard.filter(({ at }) => at >= since);
    const samples = Int16Array.from(latest.flatMap((heard) => [...heard.samples]));
    return samples.length < (WINDOW_MS / 2) * SAMPLES_MS
      ? -Infinity
      : toneLevel(samples, frequency, PHONE_RATE);
  }

  /** Level of all of the latest 200 ms of what came, in dBov (0: a square wave of full scale). */
  loudness(): number {
    const since = performance.now() - WINDOW_MS;
    const samples = this.#heard.filter(({ at }) => at >= since).flatMap((heard) => [...heard.samples]);
    const squares = samples.reduce((sum, sample) => sum + sample * sample, 0);
    return 10 * Math.log10(squares / samples.length / 2 ** 30);
  }

  /** Sends one comfort noise packet (RFC 3389) in the tone's stream. @param attenuation of the noise, in dB */
  sendComfortNoise(attenuation: number): void {
    this.#send(Buffer.of(attenuation), 13, false, false);
  }

  /** How many packets since a time (`performance.now()`) have the tone, how many do not, and how many in a row have it. */
  packetsSince(since: number, frequency: number): { with: number; without: number; inARow: number } {
    const levels = this.#heard
      .filter(({ at }) => at >= since)
      .map(({ samples }) => toneLevel(samples, frequency, PHONE_RATE));
    const having = levels.filter((level) => level > HEARD_DB).length;
    let [row, inARow] = [0, 0];
    for (const level of levels) {
      row = level > HEARD_DB ? row + 1 : 0;
      inARow = Math.max(inARow, row);
    }
    return { with: having, without: levels.length - having, inARow };
  }

  /** Waits for a second of audio from a time on. @returns as {@link packetsSince}: enough to notice a tone that should not be there */
  secondSince(since: number, frequency: number): Promise<{ with: number; without: number; inARow: number }> {
    const second = () => {
      const packets = this.packetsSince(since, frequency);
      return packets.with + packets.without >= SECOND_PACKETS && packets;
    };
    return until('a second of audio', second, { withinMs: 20_000 });
  }

  /** Length in ms of the latest audio packet that came. */
  get lastPacketMs(): number | undefined {
    const last = this.#heard.at(-1);
    return last && last.samples.length / SAMPLES_MS;
  }

  /** Waits until a tone is heard. */
  async hears(frequency: number, withinMs = 20_000): Promise<void> {
    await until(`tone of ${String(frequency)} Hz heard`, () => this.level(frequency) > HEARD_DB, {
      withinMs,
      everyMs: 20,
      seen: () => Promise.resolve({ level: this.level(frequency), packets: this.packets }),
    });
  }

  /** Waits until a tone is not heard any more. */
  async stopsHearing(frequency: number, withinMs = 20_000): Promise<void> {
    await until(`tone of ${String(frequency)} Hz gone`, () => this.level(frequency) < GONE_DB, {
      withinMs,
      everyMs: 20,
      seen: () => Promise.resolve({ level: this.level(frequency), packets: this.packets }),
    });
  }

  /** One key press of 100 ms by RFC 4733, its end sent three times. */
  sendDigit(digit: string, options: SendDigitOptions = {}): void {
    const event = DIGITS.indexOf(digit.toUpperCase());
    const durations = [160, 320, 480, 640, 800, 800, 800];
    durations.forEach((duration, index) => {
      const end = index >= 4;
      const payload = Buffer.from([event, (end ? 0x80 : 0) | 10, duration >> 8, duration & 0xff]);
      const lost = options.lose?.(index, durations.length) ?? false;
      this.#send(payload, this.eventType, index === 0, lost);
    });
    this.#timestamp = (this.#timestamp + 800) >>> 0;
  }

  #sendTone(): void {
    const encode = this.codec === PCMU ? muLawEncode : aLawEncode;
    const samples = this.packetMs * SAMPLES_MS;
    this.#send(Buffer.from(Array.from(this.#tone(samples), encode)), this.codec, false, false);
    this.#timestamp = (this.#timestamp + samples) >>> 0;
  }

  #send(payload: Buffer, payloadType: number, marker: boolean, lost: boolean): void {
    const header = Buffer.alloc(12);
    header[0] = 0x80;
    header[1] = (marker ? 0x80 : 0) | payloadType;
    header.writeUInt16BE(this.#sequence, 2);
    header.writeUInt32BE(this.#timestamp, 4);
    header.writeUInt32BE(this.#ssrc, 8);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    if (lost || !this.#remote) return;
    const packet = Buffer.concat([header, payload]);
    this.#socket.send(this.sealing?.seal(packet) ?? packet, this.#remote.port, this.#remote.host);
  }

  #receive(datagram: Buffer): void {
    if (datagram.length < 12 || datagram[0]! >> 6 !== 2) return;
    const payloadType = datagram[1]! & 0x7f;
    if (payloadType >= 64 && payloadType < 96) {
      this.rtcp += 1;
      return;
    }
    this.#follow(datagram.readUInt32BE(8), datagram.readUInt16BE(2));
    const now = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, now - (this.#lastPacketAt ?? now));
    this.#lastPacketAt = now;
    const packet = this.sealing?.open(datagram) ?? datagram;
    this.received.set(payloadType, (this.received.get(payloadType) ?? 0) + 1);
    const payload = packet.subarray(12 + 4 * (packet[0]! & 0x0f));
    if (payloadType === this.eventType) this.#receiveEvent(packet.readUInt32BE(4), payload);
    else if (payloadType === PCMU || payloadType === PCMA) {
      const decode = payloadType === PCMU ? muLawDecode : aLawDecode;
      this.#heard.push({ at: performance.now(), samples: Int16Array.from(payload, decode) });
      if (this.#heard.length > KEPT_PACKETS) this.#heard.shift();
    }
  }

  #follow(ssrc: number, sequence: number): void {
    const last = this.#lastNumbers;
    if (last && (ssrc !== last.ssrc || sequence !== ((last.sequence + 1) & 0xffff))) this.breaks += 1;
    this.#lastNumbers = { ssrc, sequence };
  }

  #receiveEvent(timestamp: number, payload: Buffer): void {
    if (timestamp === this.#lastEvent) return;
    this.#lastEvent = timestamp;
    this.digits += DIGITS[payload[0]!] ?? '?';
  }
}
