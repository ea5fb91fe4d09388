import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { findAudioCodec } from '../../codecs/index.js';
import type { AudioCodec } from '../../codecs/index.js';
import {
  isRtcp,
  rtpPayloadEnd,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpTimestamp,
  writeRtpHeader,
} from '../../rtp/index.js';
import {
  createMasterKey,
  findSrtpSuite,
  readInlineKey,
  SrtpReceiver,
  SrtpSender,
  writeInlineKey,
} from '../../srtp/index.js';
import type { MasterKey, SrtpSuite } from '../../srtp/index.js';
import { sine } from './spectrum.js';

interface ReceivedPacket {
  readonly at: number;
  readonly payloadType: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly marker: boolean;
  readonly payload: Buffer;
}

/** A phone of a test: one UDP port, one codec, a tone to send, and all that it received. */
export class TestPhone {
  readonly received: ReceivedPacket[] = [];
  readonly rtcp: Buffer[] = [];
  readonly codec: AudioCodec;
  readonly payloadType: number;
  readonly #socket: Socket;
  #gateway = { address: '127.0.0.1', port: 0 };
  #timer: NodeJS.Timeout | undefined;
  #sequence = 1000;
  #timestamp = 5000;
  ssrc = 0x11112222;
  /** Packets that it sent. */
  sent = 0;
  /** Datagrams that could not be decrypted. */
  unauthentic = 0;
  #suite: SrtpSuite | undefined;
  #key: MasterKey | undefined;
  #seal: SrtpSender | undefined;
  #open: SrtpReceiver | undefined;

  private constructor(socket: Socket, codec: AudioCodec, payloadType: number) {
    this.#socket = socket;
    this.codec = codec;
    this.payloadType = payloadType;
    socket.on('message', (packet) => this.#onMessage(packet));
  }

  static async open(
    options: { codec?: string; clockRate?: number; payloadType?: number; host?: string } = {},
  ): Promise<TestPhone> {
    const codec = findAudioCodec(options.codec ?? 'PCMU', options.clockRate ?? 8000)!;
    const host = options.host ?? '127.0.0.1';
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.bind(0, host);
    await once(socket, 'listening');
    return new TestPhone(socket, codec, options.payloadType ?? codec.payloadType ?? 96);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** An offer with this phone's address; `lines` go to the end of the m-section. */
  offer(lines: readonly string[] = ['a=sendrecv'], port = this.port): string {
    const { address } = this.#socket.address();
    const family = address.includes(':') ? 'IP6' : 'IP4';
    const { name, clockRate, channels } = this.codec;
    return [
      'v=0',
      `o=phone 1 1 IN ${family} ${address}`,
      's=-',
      `c=IN ${family} ${address}`,
      't=0 0',
      `m=audio ${port} RTP/${this.#key ? 'SAVP' : 'AVP'} ${this.payloadType} 101`,
      ...(this.#key ? [`a=crypto:1 ${this.#suite!.name} ${writeInlineKey(this.#key)}`] : []),
      `a=rtpmap:${this.payloadType} ${name}/${clockRate}${channels === 2 ? '/2' : ''}`,
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      ...lines,
      '',
    ].join('\r\n');
  }

  /** Encrypts from now on, with a new key on each call. */
  encrypt(suiteName: string): void {
    this.#suite = findSrtpSuite(suiteName)!;
    this.#key = createMasterKey(this.#suite);
    this.#seal = new SrtpSender(this.#suite, this.#key);
  }

  /** Reads from the gateway's SDP where to send. */
  callTo(sdp: string): void {
    const line = /a=crypto:\d+ (\S+) (\S+)/.exec(sdp);
    const suite = findSrtpSuite(line?.[1] ?? '');
    this.#open = suite && new SrtpReceiver(suite, readInlineKey(suite, line![2]!)!);
    const port = Number(/m=audio (\d+)/.exec(sdp)?.[1]);
    const address = /c=IN IP[46] (\S+)/.exec(sdp)![1]!;
    this.#gateway = { address, port };
  }

  /** Sends a tone in 20 ms packets until `stop`. */
  play(hertz: number, amplitude?: number): void {
    const rate = this.codec.mixRate();
    const encoder = this.codec.createEncoder(rate);
    const out = Buffer.alloc(1500);
    const samples = rate / 50;
    let played = 0;
    const origin = performance.now();
    this.#timer = setInterval(() => {
      while (played / rate < (performance.now() - origin) / 1000) {
        const length = encoder.encode(sine(hertz, rate, samples, played, amplitude), samples, out, 0);
        this.send(out.subarray(0, length), this.payloadType);
        this.#timestamp += this.codec.clockRate / 50;
        played += samples;
      }
    }, 5);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Sends one packet with the next sequence number; the timestamp is the audio's unless given. */
  send(payload: Uint8Array, payloadType: number, timestamp = this.#timestamp, marker = false): void {
    const packet = Buffer.alloc(12 + payload.length + 20);
    writeRtpHeader(packet, payloadType, marker, this.#sequence, timestamp, this.ssrc);
    packet.set(payload, 12);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const plain = 12 + payload.length;
    this.sendRaw(packet.subarray(0, this.#seal?.protectRtp(packet, plain) ?? plain));
  }

  /** Leaves out a sequence number, as if a packet had been lost. */
  skip(): void {
    this.#sequence = (this.#sequence + 1) & 0xffff;
  }

  sendRaw(packet: Buffer): void {
    this.sent += 1;
    this.#socket.send(packet, this.#gateway.port, this.#gateway.address);
  }

  /** Presses a key: five packets and three ends, some of them lost. */
  press(digit: string, lost: readonly number[] = [], payloadType = 101): void {
    const event = '0123456789*#ABCD'.indexOf(digit);
    const timestamp = this.#timestamp;
    for (let i = 0; i < 8; i += 1) {
      const duration = Math.min(5, i + 1) * 160;
      const payload = Uint8Array.of(event, i < 5 ? 10 : 0x8a, duration >> 8, duration & 0xff);
      if (lost.includes(i)) this.skip();
      else this.send(payload, payloadType, timestamp, i === 0);
    }
    this.#timestamp += 1600;
  }

  /** Waits until a condition on what was received holds. */
  async until(condition: () => boolean, limitMs = 10_000): Promise<void> {
    const end = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > end) throw new Error('The awaited packets did not come.');
      await once(this.#socket, 'message', { signal: AbortSignal.timeout(limitMs) });
    }
  }

  /** Decodes audio packets that came since a time. */
  heardSince(at: number): Int16Array {
    return this.#decode(this.received.filter((packet) => packet.at >= at));
  }

  /** Decodes audio packets but the first ones. */
  heardFrom(index: number): Int16Array {
    return this.#decode(this.received.slice(index));
  }

  #decode(packets: readonly ReceivedPacket[]): Int16Array {
    const rate = this.codec.mixRate();
    const decoder = this.codec.createDecoder(rate);
    const pcm: number[] = [];
    const out = new Int16Array(rate / 5);
    for (const packet of packets) {
      if (packet.payloadType !== this.payloadType) continue;
      const samples = decoder.decode(packet.payload, 0, packet.payload.length, out, 0);
      pcm.push(...out.subarray(0, samples));
    }
    return Int16Array.from(pcm);
  }

  async close(): Promise<void> {
    this.stop();
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #onMessage(datagram: Buffer): void {
    if (isRtcp(datagram)) {
      this.rtcp.push(datagram);
      return;
    }
    const length = this.#open ? this.#open.unprotectRtp(datagram) : datagram.length;
    if (length < 0) {
      this.unauthentic += 1;
      return;
    }
    const packet = datagram.subarray(0, length);
    const offset = rtpPayloadOffset(packet);
    this.received.push({
      at: performance.now(),
      payloadType: rtpPayloadType(packet),
      sequence: rtpSequence(packet),
      timestamp: rtpTimestamp(packet),
      marker: (packet[1]! & 0x80) !== 0,
      payload: packet.subarray(offset, rtpPayloadEnd(packet, offset)),
    });
  }
}
