import type { PublishedTrack, TrackSink } from '../track.js';
import { DtmfReceiver } from '../rtp/dtmf-receiver.js';
import type { DigitListener } from '../rtp/dtmf-receiver.js';

/** Reads the digits pressed in one track. */
class TrackDigits implements TrackSink {
  readonly #receiver: DtmfReceiver;
  readonly #clockRate: number;

  constructor(track: PublishedTrack, onDigit: DigitListener) {
    this.#receiver = new DtmfReceiver(onDigit);
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
 * Hears the telephone events in the tracks delivered to a phone, each key press once, to be played to it anew: the
 * events of several publishers cannot be mixed, and their timestamps mean nothing in the phone's stream.
 */
export class DtmfRelay {
  readonly #onDigit: DigitListener;
  #sources = new Map<PublishedTrack, TrackDigits>();

  constructor(onDigit: DigitListener) {
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
