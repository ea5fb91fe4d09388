import { randomInt } from 'node:crypto';
import {
  DtmfReceiver,
  ReceptionStatistics,
  Renumbering,
  RTP_FIXED_HEADER,
  rtpPayloadEnd,
  rtpMarker,
  rtpPayloadOffset,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDelta,
  setRtpSequence,
  setRtpSsrc,
  setRtpTimestamp,
  timestampDelta,
  writeRtpHeader,
} from '../rtp/index.js';
import type { DigitListener } from '../rtp/index.js';
import type { AudioCodec } from '../codecs/index.js';
import type { PublishedTrack } from '../track.js';
import type { AudioSession, ReceivedFormat } from './sdp/audio-session.js';

/** Packets in a row of a new SSRC, or of another agreed codec, before the receiver follows it. */
const TAKE_OVER_PACKETS = 3;
/** Shortest time between two changes of the codec, which subscribers have to follow. */
const MIN_FORMAT_MS = 1000;
/** An event whose timestamp is further than this from the audio's gets a new one. */
const MAX_EVENT_SECONDS = 10;
/** An event that is further behind than this is not late: the numbers started over (RFC 3550 A.1). */
const MAX_MISORDER = 100;
/** RTP clock of comfort noise (RFC 3389). Beside audio of another clock its timestamps are in no relation to that. */
const COMFORT_NOISE_RATE = 8000;
/** Comfort noise of -127 dBov. */
const SILENCE = 127;

/** What the owner of a receiver is told. */
interface RtpReceiverHandlers {
  readonly onDigit: DigitListener;
  /** The phone sends in this format now. @returns the track that its audio goes to */
  readonly onFormat: (format: ReceivedFormat) => PublishedTrack;
  /** Audio in that format that subscribers get. */
  readonly onAudio?: (packet: Buffer, offset: number, end: number, nowMs: number) => void;
}

/**
 * Receives one phone's RTP: checks it, leaves out what is neither audio nor DTMF, and pushes it to the
 * phone's track as one unbroken stream. Subscribers see one SSRC, gaps in the sequence numbers only for lost
 * packets, and continuous timestamps, whatever the phone or its carrier does within a call.
 */
export class RtpReceiver {
  readonly #handlers: RtpReceiverHandlers;
  readonly #dtmf: DtmfReceiver;
  readonly #ssrcOut = randomInt(1, 0xffffffff);
  #session: AudioSession | undefined;
  #isMuted = false;
  #isQuiet = false;
  #format: ReceivedFormat | undefined;
  #formatSince = -Infinity;
  #track: PublishedTrack | undefined;
  #numbers = new Renumbering(8000, 'audio');
  #restarts = 0;
  #ssrc = -1;
  #rival = -1;
  #rivalPackets = 0;
  #otherFormat: ReceivedFormat | undefined;
  #otherPackets = 0;
  /** The newest event that had an SSRC or a clock of its own, and the timestamp that it got in the track. */
  #eventSsrc = -1;
  #eventSequence = 0;
  #eventTimestamp = -1;
  #eventTimestampOut = 0;
  packets = 0;
  bytes = 0;
  #reception: ReceptionStatistics | undefined;
  /** Of the streams that the present one replaced. */
  #lostBefore = 0;

  constructor(handlers: RtpReceiverHandlers) {
    this.#handlers = handlers;
    this.#dtmf = new DtmfReceiver(handlers.onDigit);
  }

  /**
   * Applies an agreed session. A phone that sends an agreed codec other than its preferred one keeps that
   * codec.
   * @param isMuted its audio is dropped, its telephone events are not
   * @param received the codec that the phone is known to send
   */
  agree(session: AudioSession, isMuted = false, received?: AudioCodec): void {
    // What the phone sends from now on would not end the noise.
    if (isMuted && !this.#isMuted && this.#isQuiet) this.#endNoise();
    this.#isMuted = isMuted;
    const isPreferred = session.codec !== this.#session?.codec;
    const expected = received ?? (isPreferred ? session.codec : this.#format?.codec);
    this.#session = session;
    this.#otherPackets = 0;
    const agreed = [...session.received.values()];
    this.#use(agreed.find(({ codec }) => codec === expected) ?? agreed[0]!, -Infinity);
  }

  /**
   * Takes a datagram; rewrites its header in place.
   * @returns whether it is RTP of this session, as far as can be told
   */
  onPacket(packet: Buffer, nowMs: number): boolean {
    const session = this.#session;
    const offset = rtpPayloadOffset(packet);
    if (!session || offset < 0) return false;
    const end = rtpPayloadEnd(packet, offset);
    if (end < 0) return false;
    const payloadType = rtpPayloadType(packet);
    const eventRate = session.receivedEvents.get(payloadType);
    if (eventRate !== undefined) {
      this.#takeEvent(packet, offset, end, eventRate, nowMs);
      return true;
    }
    const format = session.received.get(payloadType);
    if (!format && !session.comfortNoise.has(payloadType)) return false;
    if (!this.#followSource(rtpSsrc(packet))) return true;
    if (format && !this.#followFormat(format, nowMs)) return true;
    this.#takeAudio(packet, offset, end, format !== undefined, nowMs);
    return true;
  }

  /** Of the present stream; undefined until the phone has been heard. */
  get reception(): ReceptionStatistics | undefined {
    return this.#reception;
  }

  /** Over all streams of the phone, one after the other. */
  get packetsLost(): number {
    return this.#lostBefore + (this.#reception?.packetsLost ?? 0);
  }

  /** The codec that the phone sends. */
  get codec(): AudioCodec | undefined {
    return this.#format?.codec;
  }

  poll(nowMs: number): void {
    this.#dtmf.poll(nowMs);
  }

  /** Whether a packet belongs to the current stream; changes to a stream that has replaced it. */
  #followSource(ssrc: number): boolean {
    if (ssrc === this.#ssrc) {
      this.#rivalPackets = 0;
      return true;
    }
    if (this.#ssrc >= 0) {
      if (ssrc !== this.#rival) this.#rivalPackets = 0;
      this.#rival = ssrc;
      this.#rivalPackets += 1;
      if (this.#rivalPackets < TAKE_OVER_PACKETS) return false;
    }
    this.#ssrc = ssrc;
    this.#rivalPackets = 0;
    this.#restartReception();
    return true;
  }

  /** The same for the codec: every agreed one may come at any time (RFC 3264 section 5.1). */
  #followFormat(format: ReceivedFormat, nowMs: number): boolean {
    if (format.codec === this.#format?.codec) {
      this.#otherPackets = 0;
      return true;
    }
    if (format !== this.#otherFormat) this.#otherPackets = 0;
    this.#otherFormat = format;
    this.#otherPackets += 1;
    if (this.#otherPackets < TAKE_OVER_PACKETS || nowMs - this.#formatSince < MIN_FORMAT_MS) return false;
    this.#otherPackets = 0;
    this.#use(format, nowMs);
    return true;
  }

  #use(format: ReceivedFormat, nowMs: number): void {
    if (format.codec.clockRate !== this.#format?.codec.clockRate) {
      this.#numbers = new Renumbering(format.codec.clockRate, 'audio');
      this.#restarts = 0;
      this.#restartReception();
    }
    this.#format = format;
    this.#formatSince = nowMs;
    this.#track = this.#handlers.onFormat(format);
  }

  /** The phone sent comfort noise last, and so may send nothing before its next audio. */
  get isQuiet(): boolean {
    return this.#isQuiet;
  }

  #takeAudio(packet: Buffer, offset: number, end: number, isAudio: boolean, nowMs: number): void {
    const sequence = rtpSequence(packet);
    const timestamp = rtpTimestamp(packet);
    if (offset === end) {
      this.#numbers.skip(packet);
      this.#count(packet, sequence, timestamp, nowMs);
      return;
    }
    if (!this.#numbers.take(packet, false, nowMs)) return;
    this.#count(packet, sequence, timestamp, nowMs);
    // A late packet says nothing of what the phone does now.
    if (this.#numbers.sequence === this.#numbers.lastSequence) this.#isQuiet = !isAudio;
    if (isAudio && !this.#isMuted) {
      this.#push(packet, offset, end, false);
      this.#handlers.onAudio?.(packet, offset, end, nowMs);
    } else {
      if (!isAudio && !this.#isMuted) this.#pushNoise(packet, offset, end);
      // Comfort noise and muted audio are left out without a gap in the sequence numbers.
      this.#numbers.leaveOut();
    }
  }

  /** Events may have an SSRC of their own, which does not have to replace the audio's. */
  #takeEvent(packet: Buffer, offset: number, end: number, clockRate: number, nowMs: number): void {
    const isForeign = rtpSsrc(packet) !== this.#ssrc;
    const sequence = rtpSequence(packet);
    const timestamp = rtpTimestamp(packet);
    if (isForeign) {
      this.packets += 1;
      this.bytes += packet.length;
      this.#dtmf.onPacket(packet, offset, end, clockRate, nowMs);
      if (this.#isLateEvent(packet)) return;
      this.#numbers.insert();
    } else {
      this.#rivalPackets = 0;
      if (!this.#numbers.take(packet, true, nowMs)) return;
      this.#count(packet, sequence, timestamp, nowMs);
      // Renumbered, so that late packets show; the phone may change timestamps within a key press.
      setRtpSequence(packet, this.#numbers.sequence);
      this.#dtmf.onPacket(packet, offset, end, clockRate, nowMs);
    }
    const trackRate = this.#format?.codec.clockRate ?? clockRate;
    const isOwn = isForeign || clockRate !== trackRate || this.#isFarFromAudio(trackRate);
    if (isOwn) this.#numbers.timestamp = this.#timestampOfEvent(packet, nowMs);
    if (clockRate !== trackRate) scaleDuration(packet, offset, end, trackRate / clockRate);
    this.#push(packet, offset, end, true);
  }

  /** Whether an event with its own SSRC is older than the newest such event. */
  #isLateEvent(packet: Buffer): boolean {
    const sequence = rtpSequence(packet);
    const distance = sequenceDelta(sequence, this.#eventSequence);
    const isSame = rtpSsrc(packet) === this.#eventSsrc;
    if (isSame && distance <= 0 && distance > -MAX_MISORDER) return true;
    this.#eventSequence = sequence;
    return false;
  }

  #isFarFromAudio(clockRate: number): boolean {
    const { timestamp, lastTimestamp } = this.#numbers;
    return (
      lastTimestamp >= 0 && Math.abs(timestampDelta(timestamp, lastTimestamp)) > MAX_EVENT_SECONDS * clockRate
    );
  }

  /** The track's timestamp for the start of a key press. */
  #timestampOfEvent(packet: Buffer, nowMs: number): number {
    const timestamp = rtpTimestamp(packet);
    const begins = rtpMarker(packet) || timestamp !== this.#eventTimestamp;
    if (begins || rtpSsrc(packet) !== this.#eventSsrc) {
      this.#eventTimestampOut = this.#numbers.timestampAt(nowMs);
    }
    this.#eventTimestamp = timestamp;
    this.#eventSsrc = rtpSsrc(packet);
    return this.#eventTimestampOut;
  }

  #count(packet: Buffer, sequence: number, timestamp: number, nowMs: number): void {
    this.packets += 1;
    this.bytes += packet.length;
    if (this.#restarts !== this.#numbers.restarts) this.#restartReception();
    this.#restarts = this.#numbers.restarts;
    this.#reception ??= new ReceptionStatistics(this.#ssrc, this.#format?.codec.clockRate ?? 8000);
    this.#reception.onPacket(sequence, timestamp, nowMs);
  }

  #restartReception(): void {
    this.#lostBefore = this.packetsLost;
    this.#reception = undefined;
  }

  #pushNoise(packet: Buffer, offset: number, end: number): void {
    if (this.#format?.codec.clockRate !== COMFORT_NOISE_RATE) return;
    setRtpTimestamp(packet, this.#numbers.timestamp);
    setRtpSsrc(packet, this.#ssrcOut);
    this.#track?.pushComfortNoise(packet, offset, end);
  }

  #endNoise(): void {
    const packet = Buffer.alloc(RTP_FIXED_HEADER + 1, SILENCE);
    writeRtpHeader(packet, 13, false, 0, this.#numbers.lastTimestamp, this.#ssrcOut);
    this.#track?.pushComfortNoise(packet, RTP_FIXED_HEADER, packet.length);
  }

  #push(packet: Buffer, offset: number, end: number, isEvent: boolean): void {
    setRtpSequence(packet, this.#numbers.sequence);
    setRtpTimestamp(packet, this.#numbers.timestamp);
    setRtpSsrc(packet, this.#ssrcOut);
    this.#track?.push(packet, offset, end, isEvent);
  }
}

/** Converts an event's duration to another clock rate; a longer one than fits becomes the maximum. */
function scaleDuration(packet: Buffer, offset: number, end: number, factor: number): void {
  if (end - offset < 4) return;
  const duration = Math.min(0xffff, Math.round(packet.readUInt16BE(offset + 2) * factor));
  packet.writeUInt16BE(duration, offset + 2);
}
