import { randomInt } from 'node:crypto';
import type { AudioCodec } from '../codecs/index.js';
import { FRAME_MS, mixFormat, type MixGroup, type MixGroups, DeviceMix } from '../audio/index.js';
import {
  DTMF_PAYLOAD_LENGTH,
  DtmfSender,
  DtmfTones,
  firstSequence,
  RTP_FIXED_HEADER,
  writeRtpHeader,
} from '../rtp/index.js';
import type { PublishedTrack } from '../track.js';
import type { MediaDtmf } from '../types.js';
import type { PhoneCrypto } from './phone-crypto.js';
import { type AudioSession, telephoneEventFor } from './sdp/audio-session.js';
import { receives } from '../sdp/index.js';

/** Buffers used in turn, so that a packet stays untouched while the system may still read it. */
const RING = 8;
const MAX_PACKET = 1500;

const DEFAULT_CLOCK_RATE = 8000;

/** After so much silence a phone is sent comfort noise (RFC 3389) in its place, if that was agreed on: half a second, ... */
const QUIET_FRAMES = 500 / FRAME_MS;
/** ... and then again and again, so that it hears of us, and NATs between keep the way open. */
const NOISE_FRAMES = 500 / FRAME_MS;

/** If the packets sent differ by more than this from what the last state lets expect, it is sent again. */
const MAX_DRIFT = 500;
/**
 * How far the sequence numbers of a restored stream jump beyond the expected ones: more than the drift, and together
 * with it less than what receivers take for a stream that started over (3000: RFC 3550 appendix A.1).
 */
const MARGIN = 2000;

/** Where a stream stands. */
export interface StreamState {
  readonly ssrc: number;
  /** Sequence number of the next packet. */
  readonly sequence: number;
  /** RTP timestamp of the moment. */
  readonly timestamp: number;
  readonly clockRate: number;
  /** Packets to be sent per second. */
  readonly rate: number;
}

/** A stream of another process that is to be continued. */
interface StreamBefore {
  readonly state: StreamState;
  /** Time since then, in ms. */
  readonly ageMs: number;
  /** The present mix frame. */
  readonly frame: number;
}

/** How far the sequence numbers of a stream jump, so that none is used twice. */
export const skippedBy = ({ rate }: StreamState, ageMs: number): number =>
  Math.ceil((rate * ageMs) / 1000) + MARGIN;

/** Sends one phone its encoded mix, one packet for each `ptime`, or telephone events. */
export class RtpSender {
  readonly #groups: MixGroups;
  readonly #crypto: PhoneCrypto;
  readonly #send: (packet: Buffer) => void;
  readonly #ring = ringOfPackets();
  /** Views of the ring's buffers with the length last used, which most codecs never change. */
  readonly #views = [...this.#ring];
  #at = 0;
  readonly ssrc: number;
  readonly #dtmf = new DtmfSender();
  readonly #tones = new DtmfTones();
  readonly #event = Buffer.alloc(DTMF_PAYLOAD_LENGTH);
  #session: AudioSession | undefined;
  #mix: DeviceMix | undefined;
  #tracks: readonly PublishedTrack[] = [];
  #levelling = true;
  #own: PublishedTrack | undefined;
  /** A frame of tones for a phone without telephone events. */
  #toneFrame = new Int16Array(0);
  #sequence: number;
  readonly #timestampOrigin: number;
  #marker = true;
  #eventTimestamp = 0;
  /** For so many frames there has been no sound. */
  #quietFrames = 0;
  /** Frame of the last comfort noise since the last audio. */
  #noiseAt = -Infinity;
  packets = 0;
  bytes = 0;
  /** Payload bytes, as sender reports count them. */
  octets = 0;
  /** When the state was last stated, and how many packets had been sent then. */
  #statedAt = 0;
  #packetsAtState = 0;
  #rateAtState = 0;

  /** @param before the stream of another process that this one continues */
  constructor(groups: MixGroups, crypto: PhoneCrypto, send: (packet: Buffer) => void, before?: StreamBefore) {
    this.#groups = groups;
    this.#crypto = crypto;
    this.#send = send;
    this.ssrc = before?.state.ssrc ?? randomInt(1, 0xffffffff);
    this.#sequence = before
      ? (before.state.sequence + skippedBy(before.state, before.ageMs)) & 0xffff
      : firstSequence();
    this.#timestampOrigin = before ? originOf(before) : randomInt(0xffffffff);
  }

  /** @param frame the present mix frame */
  state(frame: number, nowMs: number): StreamState {
    this.#statedAt = nowMs;
    this.#packetsAtState = this.packets;
    const session = this.#session;
    this.#rateAtState = session && receives(session.direction) ? 1000 / session.ptime : 0;
    return {
      ssrc: this.ssrc,
      sequence: this.#sequence,
      timestamp: this.timestampOf(frame),
      clockRate: this.clockRate,
      rate: this.#rateAtState,
    };
  }

  /** More or fewer packets were sent than the last {@link state} lets expect. */
  hasDrifted(nowMs: number): boolean {
    const expected = (this.#rateAtState * (nowMs - this.#statedAt)) / 1000;
    return Math.abs(this.packets - this.#packetsAtState - expected) > MAX_DRIFT;
  }

  /** @param mayStop whether to use DTX toward a phone that asks for it */
  configure(session: AudioSession, mayStop = false): void {
    const format = mixFormat(session.codec, session.fmtp, session.ptime, mayStop ? session.fmtp : undefined);
    if (format.key !== this.#mix?.format.key) {
      this.#mix?.close();
      this.#mix = new DeviceMix(this.#groups, format);
      this.#mix.setOwn(this.#own);
      this.#mix.setTracks(this.#tracks, this.#levelling);
      this.#marker = true;
    }
    this.#session = session;
  }

  setTracks(tracks: readonly PublishedTrack[], levelling: boolean): void {
    this.#tracks = tracks;
    this.#levelling = levelling;
    this.#mix?.setTracks(tracks, levelling);
  }

  /** The track that the phone publishes: it is part of what others hear. */
  setOwn(track: PublishedTrack): void {
    this.#own = track;
    this.#mix?.setOwn(track);
  }

  /** Sequence number of the last packet. */
  get newest(): number {
    return (this.#sequence - 1) & 0xffff;
  }

  /** How many digits can be queued now. */
  get dtmfRoom(): number {
    return this.#dtmf.room;
  }

  /** Queues digits; those beyond {@link dtmfRoom} are dropped. */
  sendDtmf({ digits, durationMs, gapMs }: MediaDtmf): void {
    this.#dtmf.add(digits, durationMs, gapMs);
  }

  /** The codec that is sent; undefined before it is agreed. */
  get codec(): AudioCodec | undefined {
    return this.#session?.codec;
  }

  get clockRate(): number {
    return this.#session?.codec.clockRate ?? DEFAULT_CLOCK_RATE;
  }

  /** RTP timestamp of a mix frame. */
  timestampOf(frame: number): number {
    const { clockRate } = this;
    return (this.#timestampOrigin + frame * FRAME_MS * (clockRate / 1000)) >>> 0;
  }

  /** Mixes one frame (20 ms), and sends the packets that it completes. */
  onFrame(frame: number): void {
    const session = this.#session;
    if (!session || !this.#mix) return;
    if (!receives(session.direction)) {
      this.pause();
      return;
    }
    const event = this.#dtmf.busy ? telephoneEventFor(session) : undefined;
    const tones = this.#dtmf.busy && !event ? this.#playTones(this.#mix.format.rate) : undefined;
    const group = this.#mix.run(frame, tones);
    const isSound = event !== undefined || tones !== undefined || group.set.isAudible;
    this.#quietFrames = isSound ? 0 : this.#quietFrames + 1;
    if (event) {
      // Audio is left out while an event is sent (RFC 4733 section 2.2).
      this.#sendEvent(event, frame);
      return;
    }
    if (session.sentComfortNoise !== undefined && this.#quietFrames >= QUIET_FRAMES) {
      if (group.ready > 0) this.#sendNoise(session.sentComfortNoise, group);
      return;
    }
    this.#noiseAt = -Infinity;
    for (let i = 0; i < group.ready; i += 1) {
      this.#sendPayload(session, group.payloads[i]!, group.firstFrame + (i * session.ptime) / FRAME_MS);
    }
  }

  /** Frames are skipped: the next packet begins a talkspurt. */
  pause(): void {
    this.#mix?.pause();
    this.#marker = true;
  }

  close(): void {
    this.#mix?.close();
    this.#mix = undefined;
  }

  /** Sends a payload that may be sent to others too: encrypted is a copy. */
  #sendPayload(session: AudioSession, payload: Buffer, firstFrame: number): void {
    // Of whole views it makes none itself, as Buffer.copy does, and it is faster than byte by byte.
    this.#ring[this.#at]!.set(payload, RTP_FIXED_HEADER);
    this.#finish(session.payloadType, this.timestampOf(firstFrame), this.#marker, payload.length);
    this.#marker = false;
  }

  #sendNoise(payloadType: number, { firstFrame, set }: MixGroup): void {
    // Audio that follows begins a talkspurt (RFC 3551 section 4.1).
    this.#marker = true;
    if (firstFrame - this.#noiseAt < NOISE_FRAMES) return;
    this.#noiseAt = firstFrame;
    this.#ring[this.#at]![RTP_FIXED_HEADER] = Math.round(-set.levelDb);
    this.#finish(payloadType, this.timestampOf(firstFrame), false, 1);
  }

  #sendEvent(event: { payloadType: number; clockRate: number }, frame: number): void {
    const packet = this.#ring[this.#at]!;
    if (!this.#dtmf.next(FRAME_MS, event.clockRate, packet, RTP_FIXED_HEADER)) return;
    if (this.#dtmf.begins) this.#eventTimestamp = this.timestampOf(frame);
    this.#finish(event.payloadType, this.#eventTimestamp, this.#dtmf.begins, DTMF_PAYLOAD_LENGTH);
    this.#marker = true;
  }

  /** A frame with a digit's tones, for a phone without telephone events. */
  #playTones(rate: number): Int16Array {
    const samples = (rate / 1000) * FRAME_MS;
    if (this.#toneFrame.length !== samples) this.#toneFrame = new Int16Array(samples);
    const pcm = this.#toneFrame;
    const due = this.#dtmf.next(FRAME_MS, rate, this.#event, 0);
    if (this.#dtmf.begins) this.#tones.begin();
    if (due && !this.#dtmf.repeatsEnd) this.#tones.write(this.#event[0]!, rate, pcm, 0, samples);
    else pcm.fill(0);
    return pcm;
  }

  /** Writes the header of the ring's present packet and sends it. */
  #finish(payloadType: number, timestamp: number, marker: boolean, payloadLength: number): void {
    const buffer = this.#ring[this.#at]!;
    writeRtpHeader(buffer, payloadType, marker, this.#sequence, timestamp, this.ssrc);
    const length = this.#crypto.sealRtp(buffer, RTP_FIXED_HEADER + payloadLength);
    if (this.#views[this.#at]!.length !== length) this.#views[this.#at] = buffer.subarray(0, length);
    const packet = this.#views[this.#at]!;
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#at = (this.#at + 1) % RING;
    this.packets += 1;
    this.bytes += length;
    this.octets += payloadLength;
    this.#send(packet);
  }
}

/** The timestamp of mix frame 0, so that timestamps go on by the clock; one frame more, since both ends round down. */
function originOf({ state, ageMs, frame }: StreamBefore): number {
  const passed = Math.round(((ageMs + FRAME_MS) * state.clockRate) / 1000);
  return state.timestamp + passed - frame * FRAME_MS * (state.clockRate / 1000);
}

/** One allocation for all, so that there is less to collect after each call. */
function ringOfPackets(): Buffer[] {
  const all = Buffer.allocUnsafeSlow(RING * MAX_PACKET);
  return Array.from({ length: RING }, (_, i) => all.subarray(i * MAX_PACKET, (i + 1) * MAX_PACKET));
}
