import { writeRemb } from '../../rtp/index.js';
import type { Uplink } from './uplink.js';

/** Tells a publisher that it is free again (bits per second). */
const NO_LIMIT = 20_000_000;
/** How often that is said: the word may get lost. */
const FAREWELLS = 3;
/** A video that nobody limits may grow by this beyond what it sends, while another is limited. */
const GROWTH = 1.25;
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
    const isLimited = videos.some(({ bitrateLimit }) => bitrateLimit < Infinity);
    const limit = videos.reduce((sum, uplink) => sum + share(uplink), 0);
    if (isLimited && limit < NO_LIMIT) {
      this.#farewells = FAREWELLS;
      const audio = AUDIO_BITRATE * (uplinks.length - videos.length);
      return writeRemb(this.#localSsrc, limit + audio, sources);
    }
    if (this.#farewells === 0) return undefined;
    this.#farewells -= 1;
    return writeRemb(this.#localSsrc, NO_LIMIT, sources);
  }
}

/** A REMB is about all videos together (bits per second): each has its share in it, those without a limit too. */
function share(uplink: Uplink): number {
  const sent = uplink.takeBytes() * 8;
  if (uplink.bitrateLimit < Infinity) return uplink.bitrateLimit;
  return uplink.track.sinkCount > 0 ? sent * GROWTH : 0;
}
