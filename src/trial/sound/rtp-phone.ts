import { randomBytes, randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIP, isIPv6 } from 'node:net';
import {
  AUDIO_CODECS,
  type AudioCodec,
  type AudioDecoder,
  type AudioEncoder,
  directionQuality,
  isRtcp,
  levelOf,
  meanSquare,
  ReceptionStatistics,
  RtcpSession,
  type RtcpSource,
  rtpPayloadEnd,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  writeRtpHeader,
} from '../../media/index.js';
import { Player } from './player.js';

const FRAME_MS = 20;
const HEADER = 12;
/** After a stall of the process so many packets are made up for at once; the others are skipped. */
const MAX_BURST = 10;
/** Payload type of a codec without a static one. */
const DYNAMIC_TYPE = 96;
/** The longest packet that is decoded: 120 ms at 48 kHz. */
const MAX_SAMPLES = 5_760;
/** Weight of a packet's power in the level that is reported: about a second. */
const LEVEL_WEIGHT = 0.02;

/** What a test call heard. */
interface HeardSound {
  readonly packets: number;
  readonly lost: number;
  readonly jitterMs: number;
  /** Of the last second or so, in dB relative to full scale; absent while there is only silence. */
  readonly levelDb?: number;
  readonly mos?: number;
}

/** The RTP of one test call: it plays, on a clock of 20 ms, and measures what comes back. */
export class RtpPhone {
  readonly codec: AudioCodec;
  readonly player: Player;
  readonly #socket: Socket;
  readonly #host: string;
  readonly #ssrc = randomBytes(4).readUInt32BE();
  readonly #encoder: AudioEncoder;
  readonly #decoder: AudioDecoder;
  readonly #rtcp: RtcpSession;
  readonly #samples: Int16Array;
  readonly #packet = Buffer.alloc(1500);
  readonly #decoded = new Int16Array(MAX_SAMPLES);
  #remote: { readonly address: string; readonly port: number } | undefined;
  #clock: NodeJS.Timeout | undefined;
  #due = 0;
  #sequence = randomInt(0x8000);
  #timestamp = randomBytes(4).readUInt32BE();
  #sent = 0;
  #octets = 0;
  #reception: ReceptionStatistics | undefined;
  /** SSRC of what is received; -1: nothing yet. */
  #heardSsrc = -1;
  #power = 0;
  #isClosed = false;

  private constructor(socket: Socket, host: string, codec: AudioCodec) {
    this.#socket = socket;
    this.#host = host;
    this.codec = codec;
    const rate = codec.mixRate();
    this.player = new Player(rate);
    this.#samples = new Int16Array((rate * FRAME_MS) / 1000);
    this.#encoder = codec.createEncoder(rate);
    this.#decoder = codec.createDecoder(rate);
    this.#rtcp = new RtcpSession(`test-call@${host}`, (packet) => this.#transmit(packet));
    socket.on('message', (packet, from) => this.#take(packet, from));
    // Nobody listens at the port any more: the call's end is told by SIP.
    socket.on('error', () => undefined);
  }

  /** @param host an address of this machine @param codecs names of those that phones may use */
  static async open(host: string, codecs: readonly string[]): Promise<RtpPhone> {
    const allowed = AUDIO_CODECS.filter(({ name }) => codecs.includes(name));
    const codec = allowed.find(({ name }) => name === 'PCMU') ?? allowed[0]!;
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.bind(0, host);
    await once(socket, 'listening');
    return new RtpPhone(socket, host, codec);
  }

  /** Our session description. RTCP comes to the same port (RFC 5761). */
  get sdp(): string {
    const address = `IN ${isIPv6(this.#host) ? 'IP6' : 'IP4'} ${this.#host}`;
    const { name, clockRate, channels } = this.codec;
    return [
      'v=0',
      `o=test-call 1 1 ${address}`,
      's=-',
      `c=${address}`,
      't=0 0',
      `m=audio ${this.#socket.address().port} RTP/AVP ${this.#type}`,
      `a=rtpmap:${this.#type} ${name}/${clockRate}${channels > 1 ? `/${channels}` : ''}`,
      `a=ptime:${FRAME_MS}`,
      'a=rtcp-mux',
      'a=sendrecv',
      '',
    ].join('\r\n');
  }

  get roundTripMs(): number | undefined {
    return this.#rtcp.reports.roundTripMs;
  }

  get packetsSent(): number {
    return this.#sent;
  }

  get heard(): HeardSound {
    const { packets = 0, packetsLost: lost = 0, jitterMs = 0 } = this.#reception ?? {};
    const expected = packets + lost;
    const figures = { packets, lost, expected, jitterMs, roundTripMs: this.roundTripMs };
    const { mos } = directionQuality([{ ...figures, codec: this.codec.speechImpairment }]);
    const level = levelOf(this.#power);
    return {
      packets,
      lost,
      jitterMs: Math.round(jitterMs * 10) / 10,
      ...(this.#power > 1e-7 && { levelDb: Math.round(level * 10) / 10 }),
      ...(mos !== undefined && { mos }),
    };
  }

  /** Sends to where an answer says, from now on. */
  start(sdpAnswer: string): void {
    this.#remote = destinationIn(sdpAnswer);
    if (this.#clock || this.#isClosed) return;
    this.#due = performance.now();
    this.#clock = setInterval(() => this.#onTime(), FRAME_MS / 2);
  }

  /** Later calls do nothing. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#clock);
    if (this.#sent > 0) this.#rtcp.bye(this.#source, this.#timestamp, performance.now());
    this.player.stop();
    // The BYE may still be under way.
    setImmediate(() => this.#socket.close());
  }

  get #type(): number {
    return this.codec.payloadType ?? DYNAMIC_TYPE;
  }

  get #source(): RtcpSource {
    return {
      ssrc: this.#ssrc,
      packets: this.#sent,
      octets: this.#octets,
      newest: (this.#sequence - 1) & 0xffff,
      clockRate: this.codec.clockRate,
      reception: this.#reception,
    };
  }

  #onTime(): void {
    const now = performance.now();
    if (now - this.#due > MAX_BURST * FRAME_MS) this.#due = now;
    while (this.#due <= now) {
      this.#due += FRAME_MS;
      this.#say();
    }
    if (this.#sent > 0) this.#rtcp.onTime(this.#source, this.#timestamp, now);
  }

  #say(): void {
    this.player.fill(this.#samples);
    const length = this.#encoder.encode(this.#samples, this.#samples.length, this.#packet, HEADER);
    writeRtpHeader(this.#packet, this.#type, this.#sent === 0, this.#sequence, this.#timestamp, this.#ssrc);
    this.#transmit(this.#packet.subarray(0, HEADER + length));
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + (this.codec.clockRate * FRAME_MS) / 1000) >>> 0;
    this.#sent += 1;
    this.#octets += length;
  }

  #transmit(packet: Buffer): void {
    if (!this.#remote) return;
    const { address, port } = this.#remote;
    // A copy, as the socket may send later. A failure is told by what the gateway does not hear.
    this.#socket.send(Buffer.from(packet), port, address, () => undefined);
  }

  #take(packet: Buffer, { address, port }: RemoteInfo): void {
    const now = performance.now();
    if (isRtcp(packet)) {
      this.#rtcp.onPacket(packet, this.#source, now);
      return;
    }
    const payload = rtpPayloadOffset(packet);
    const end = payload < 0 ? -1 : rtpPayloadEnd(packet, payload);
    if (end < 0 || rtpPayloadType(packet) !== this.#type) return;
    if (this.#heardSsrc < 0) {
      this.#heardSsrc = rtpSsrc(packet);
      this.#reception = new ReceptionStatistics(this.#heardSsrc, this.codec.clockRate);
      // Symmetric RTP (RFC 4961): the announced address may be one that is reached only from outside.
      this.#remote = { address, port };
    }
    if (rtpSsrc(packet) !== this.#heardSsrc) return;
    this.#reception!.onPacket(rtpSequence(packet), rtpTimestamp(packet), now);
    const samples = this.#decoder.decode(packet, payload, end, this.#decoded, 0);
    if (samples > 0) this.#power += LEVEL_WEIGHT * (meanSquare(this.#decoded, 0, samples) - this.#power);
  }
}

/** Where an answer wants its audio; undefined when it refuses it. */
function destinationIn(sdp: string): { readonly address: string; readonly port: number } | undefined {
  const port = Number(/^m=audio (\d+) /m.exec(sdp)?.[1] ?? 0);
  const addresses = [...sdp.matchAll(/^c=IN IP[46] (\S+)/gm)].map(([, address]) => address!);
  const address = addresses.at(-1);
  return port === 0 || address === undefined || isIP(address) === 0 ? undefined : { address, port };
}
