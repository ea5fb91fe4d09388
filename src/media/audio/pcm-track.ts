import { randomInt } from 'node:crypto';
import { type AudioEncoder, createOpusEncoder, meanSquare, OPUS, toTrackCodec } from '../codecs/index.js';
import { levelOf, SpeechDetector } from '../quality/index.js';
import {
  DTMF_PAYLOAD_LENGTH,
  type DtmfSender,
  firstSequence,
  RTP_FIXED_HEADER,
  writeRtpHeader,
} from '../rtp/index.js';
import { type PcmSource, PublishedTrack } from '../track.js';
import type { ProgramRate, StreamLevelInfo } from '../types.js';
import { FrameRates } from './frame-rates.js';
import { FRAME_MS } from './mix-clock.js';

/** Silence that is still sent as packets, so that receivers hear the end as it was. */
const TAIL_FRAMES = 200 / FRAME_MS;
/** libopus makes no larger packets of 20 ms at these rates. */
const MAX_PAYLOAD = 1275;
const UNITS_PER_FRAME = (OPUS.clockRate / 1000) * FRAME_MS;

interface PcmTrackOptions {
  readonly streamId: string;
  /** Sample rate of what {@link next} writes. */
  readonly rate: ProgramRate;
  /** Writes the next 20 ms. @returns false if they are silence; then nothing has to be written */
  readonly next: (out: Int16Array) => boolean;
  /** Keys to be sent; what else there is waits meanwhile. */
  readonly dtmf?: DtmfSender;
  /**
   * Encodes the present frame in place of an encoder of the track's own.
   * @returns the number of bytes; undefined when it cannot, from here on
   */
  readonly encode?: (pcm: Int16Array, out: Buffer, offset: number) => number | undefined;
  /** Somebody begins or ceases to speak in it. */
  readonly onSpeaking?: (isSpeaking: boolean, levelDb: number) => void;
}

/**
 * A track whose audio is made in this process, a frame at a time. Mixes read its samples; while a sink wants packets of
 * it, it is encoded to Opus, once for all.
 */
export class PcmTrack implements PcmSource {
  readonly track: PublishedTrack;
  readonly #options: PcmTrackOptions;
  readonly #pcm: Int16Array;
  readonly #speech: SpeechDetector;
  readonly #rates: FrameRates;
  readonly #packet = Buffer.alloc(RTP_FIXED_HEADER + MAX_PAYLOAD);
  readonly #ssrc = randomInt(1, 2 ** 32);
  #encoder: AudioEncoder | undefined;
  #frame = -1;
  #isSound = false;
  /** A mix has read a frame since the last {@link onFrame}. */
  #wasRead = false;
  #sequence = firstSequence();
  #marker = true;
  #silentFrames = TAIL_FRAMES;
  #eventTimestamp = 0;
  /** Frames with sound in them, so far. */
  frames = 0;

  constructor(options: PcmTrackOptions) {
    this.#options = options;
    this.#rates = new FrameRates(options.rate);
    this.#pcm = new Int16Array((options.rate / 1000) * FRAME_MS);
    this.#speech = new SpeechDetector((isSpeaking) =>
      options.onSpeaking?.(isSpeaking, this.#speech.levelDb ?? 0),
    );
    const codec = toTrackCodec(OPUS);
    this.track = new PublishedTrack({ kind: 'audio', streamId: options.streamId, codec, pcm: this });
  }

  /** Level of the speech so far, in dB relative to full scale. */
  get levelDb(): number | undefined {
    return this.#speech.levelDb;
  }

  /** How loud it has been since the last call. */
  takeLevels(): StreamLevelInfo[] {
    const levelDb = this.#speech.takePeak();
    return levelDb === undefined ? [] : [{ streamId: this.#options.streamId, levelDb }];
  }

  /** Whether somebody hears the track, or would if there was something to hear. */
  get isHeard(): boolean {
    return this.#wasRead || this.track.isWanted;
  }

  read(frame: number, rate: number, out: Int16Array): boolean {
    this.#wasRead = true;
    this.#advance(frame);
    if (rate === this.#options.rate) {
      if (this.#isSound) out.set(this.#pcm);
      return this.#isSound;
    }
    return this.#rates.read(frame, this.#isSound, this.#pcm, rate, out);
  }

  /** To be called in each frame of the mix clock. */
  onFrame(frame: number, nowMs: number): void {
    this.#advance(frame);
    this.#wasRead = false;
    this.#speech.poll(nowMs);
    const { dtmf } = this.#options;
    if (dtmf?.busy === true) this.#sendEvent(dtmf, frame);
    else this.#sendAudio(frame);
  }

  #advance(frame: number): void {
    if (frame === this.#frame) return;
    this.#frame = frame;
    this.#isSound = this.#options.dtmf?.busy !== true && this.#options.next(this.#pcm);
    if (!this.#isSound) this.#pcm.fill(0);
    else this.frames += 1;
    const power = this.#isSound ? meanSquare(this.#pcm, 0, this.#pcm.length) : 0;
    this.#speech.onLevel(levelOf(power), FRAME_MS, performance.now());
  }

  #sendAudio(frame: number): void {
    this.#silentFrames = this.#isSound ? 0 : this.#silentFrames + 1;
    if (this.#silentFrames > TAIL_FRAMES || !this.track.isWanted) {
      // What comes next begins a talkspurt (RFC 3551 section 4.1).
      this.#marker = true;
      return;
    }
    const length = this.#encode();
    this.#push(length, this.#marker, frame * UNITS_PER_FRAME, false);
    this.#marker = false;
  }

  /** @returns the length of the payload */
  #encode(): number {
    const shared = this.#encoder
      ? undefined
      : this.#options.encode?.(this.#pcm, this.#packet, RTP_FIXED_HEADER);
    if (shared !== undefined) return shared;
    this.#encoder ??= createOpusEncoder(this.#options.rate);
    return this.#encoder.encode(this.#pcm, this.#pcm.length, this.#packet, RTP_FIXED_HEADER);
  }

  #sendEvent(dtmf: DtmfSender, frame: number): void {
    if (!dtmf.next(FRAME_MS, OPUS.clockRate, this.#packet, RTP_FIXED_HEADER)) return;
    if (dtmf.begins) this.#eventTimestamp = frame * UNITS_PER_FRAME;
    this.#push(DTMF_PAYLOAD_LENGTH, dtmf.begins, this.#eventTimestamp, true);
    this.#marker = true;
  }

  #push(length: number, marker: boolean, timestamp: number, isEvent: boolean): void {
    writeRtpHeader(this.#packet, 0, marker, this.#sequence, timestamp >>> 0, this.#ssrc);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.track.push(this.#packet, RTP_FIXED_HEADER, RTP_FIXED_HEADER + length, isEvent);
  }
}
