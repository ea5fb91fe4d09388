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
import { sine } from './spectrum.js';

export interface ReceivedPacket {
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
      `m=audio ${port} RTP/AVP ${this.payloadType} 101`,
      `a=rtpmap:${this.payloadType} ${name}/${clockRate}${channels === 2 ? '/2' : ''}`,
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101 0-15',
      ...lines,
      '',
    ].join('\r\n');
  }

  /** Reads from the gateway's SDP where to send. */
  callTo(sdp: string): void {
    const port = Number(/m=audio (\d+)/.exec(sdp)?.[1]);
    const address = /c=IN IP[46] (\S+)/.exec(sdp)![1]!;
    this.#gateway = { address, port };
  }

  /** Sends a tone in 20 ms packets until `stop`. */
  play(hertz: number): void {
    const rate = this.codec.mixRate();
    const encoder = this.codec.createEncoder(rate);
    const out = Buffer.alloc(1500);
    const samples = rate / 50;
    let played = 0;
    const origin = performance.now();
    this.#timer = setInterval(() => {
      while (played / rate < (performance.now() - origin) / 1000) {
        const length = encoder.encode(sine(hertz, rate, samples, played), samples, out, 0);
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
    const packet = Buffer.alloc(12 + payload.length);
    writeRtpHeader(packet, payloadType, marker, this.#sequence, timestamp, this.ssrc);
    packet.set(payload, 12);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.sendRaw(packet);
  }

  /** Leaves out a sequence number, as if a packet had been lost. */
  skip(): void {
    this.#sequence = (this.#sequence + 1) & 0xffff;
  }

  sendRaw(packet: Buffer): void {
    this.#socket.send(packet, this.#gateway.port, this.#gateway.address);
  }

  /** Waits until a condition on what was received holds. */
  async until(condition: () => boolean, limitMs = 3000): Promise<void> {
    const end = performance.now() + limitMs;
    while (!condition()) {
      if (performance.now() > end) throw new Error('what was waited for did not come');
      await once(this.#socket, 'message', { signal: AbortSignal.timeout(limitMs) });
    }
  }

  /** Decodes audio packets that came since a time. */
  heardSince(at: number): Int16Array {
    const rate = this.codec.mixRate();
    const decoder = this.codec.createDecoder(rate);
    const pcm: number[] = [];
    const out = new Int16Array(rate / 5);
    for (const packet of this.received) {
      if (packet.at < at || packet.payloadType !== this.payloadType) continue;
      const samples = decoder.decode(packet.payload, 0, packet.payload.length, out);
      pcm.push(...out.subarray(0, samples));
    }
    return Int16Array.from(pcm);
  }

  async close(): Promise<void> {
    this.stop();
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #onMessage(packet: Buffer): void {
    if (isRtcp(packet)) {
      this.rtcp.push(packet);
      return;
    }
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
