import { DtmfReceiver } from '../rtp/index.js';
import type { PublishedTrack, TrackSink } from '../track.js';

/** Called once for each key press, when it has ended: digit `0-9*#A-D`, duration in ms, and the stream that it came in. */
type TrackDigitListener = (digit: string, durationMs: number, streamId: string) => void;

/** Reads the digits pressed in one track. */
class TrackDigits implements TrackSink {
  readonly #receiver: DtmfReceiver;
  readonly #clockRate: number;

  constructor(track: PublishedTrack, onDigit: TrackDigitListener) {
    this.#receiver = new DtmfReceiver((digit, durationMs) => onDigit(digit, durationMs, track.streamId));
    this.#clockRate = track.codec.clockRate;
  }

  onPacket(packet: Buffer, payloadOffset: number, payloadEnd: number, telephoneEvent: boolean): void {
    if (!telephoneEvent) return;
    this.#receiver.onPacket(packet, payloadOffset, payloadEnd, this.#clockRate, performance.now());
  }

  poll(nowMs: number): void {
    this.#receiver.poll(nowMs);
  }
}

/**
 * Reads the key presses in the tracks delivered to a device, so that each is sent to it as a new event: events
 * of several publishers cannot be mixed, and their timestamps mean nothing in the device's stream.
 */
export class DtmfRelay {
  readonly #onDigit: TrackDigitListener;
  #sources = new Map<PublishedTrack, TrackDigits>();

  constructor(onDigit: TrackDigitListener) {
    this.#onDigit = onDigit;
  }

  setTracks(tracks: readonly PublishedTrack[]): void {
    const sources = new Map<PublishedTrack, TrackDigits>();
    for (const track of tracks) {
      if (track.kind !== 'audio') continue;
      const known = this.#sources.get(track);
      const digits = known ?? new TrackDigits(track, this.#onDigit);
      if (!known) track.attach(digits);
      sources.set(track, digits);
    }
    for (const [track, digits] of this.#sources) {
      if (!sources.has(track)) track.detach(digits);
    }
    this.#sources = sources;
  }

  poll(nowMs: number): void {
    for (const digits of this.#sources.values()) digits.poll(nowMs);
  }

  close(): void {
    this.setTracks([]);
  }
}
