import { writeRemb } from '../../rtp/index.js';
import type { Uplink } from './uplink.js';

/** Tells a publisher that it is free again (bits per second). */
const NO_LIMIT = 20_000_000;
/** How often that is said: the word may get lost. */
const FAREWELLS = 3;
/** Left for the audio tracks in the sum that a REMB is about. */
const AUDIO_BITRATE = 64_000;

/** Holds a publisher to the bit rate that its subscribers can take, by REMB. */
export class BitrateLimit {
  readonly #localSsrc: number;
  #farewells = 0;

  constructor(localSsrc: number) {
    this.#localSsrc = localSsrc;
  }

  /** To be called once a second. @returns the REMB to send, when there is something to say */
  feedback(uplinks: readonly Uplink[]): Buffer | undefined {
    const videos = uplinks.filter((uplink) => uplink.track.kind === 'video' && uplink.ssrc >= 0);
    const sources = videos.map(({ ssrc }) => ssrc);
    const limit = videos.reduce((sum, { bitrateLimit }) => sum + bitrateLimit, 0);
    if (videos.length > 0 && limit < NO_LIMIT) {
      this.#farewells = FAREWELLS;
      const audio = AUDIO_BITRATE * (uplinks.length - videos.length);
      return writeRemb(this.#localSsrc, limit + audio, sources);
    }
    if (this.#farewells === 0) return undefined;
    this.#farewells -= 1;
    return writeRemb(this.#localSsrc, NO_LIMIT, sources);
  }
}
