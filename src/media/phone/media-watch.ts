import type { PhoneMediaEvent } from '../door.js';
import type { EndpointContext } from '../endpoint.js';
import { receives } from '../sdp/index.js';
import { type AudioSession, expectsMedia } from './sdp/audio-session.js';

/** Comfort noise may be followed by silence (RFC 3389 section 4): then the time limit is so many times longer. */
const QUIET_FACTOR = 5;

/** Notices when a phone's media come and when they are missing, and when ours must not be sent. */
export class MediaWatch {
  readonly #context: EndpointContext<PhoneMediaEvent>;
  #lastAt = 0;
  #isLost = false;
  /** The phone sent comfort noise last. */
  #isQuiet = false;
  #isHeard = false;
  #isWithheld = false;
  /** Mix frames that were not sent because the announced address had given no sign of a phone. */
  framesWithheld = 0;

  constructor(context: EndpointContext<PhoneMediaEvent>) {
    this.#context = context;
  }

  /** A new session was agreed: the time limit for the phone's media starts again. */
  restart(nowMs: number): void {
    this.#lastAt = nowMs;
  }

  /**
   * An RTP packet of the phone came.
   * @param isTaken its stream was accepted @param isQuiet it sends comfort noise
   */
  heard(nowMs: number, isTaken: boolean, isQuiet: boolean): void {
    this.#lastAt = nowMs;
    this.#isQuiet = isQuiet;
    this.#isLost = false;
    if (this.#isHeard || !isTaken) return;
    this.#isHeard = true;
    this.#context.emit({ type: 'heard' });
  }

  /** The phone sent a report. Phones that suppress silence still do, which shows that they are there. */
  reported(nowMs: number): void {
    this.#lastAt = nowMs;
  }

  /** Called about once a second. */
  check(nowMs: number, session: AudioSession | undefined): void {
    if (!session || !expectsMedia(session)) {
      this.#lastAt = nowMs;
      return;
    }
    const mayBeQuiet = this.#isQuiet || session.sentComfortNoise !== undefined;
    const limitMs = this.#context.options.mediaTimeoutMs * (mayBeQuiet ? QUIET_FACTOR : 1);
    if (this.#isLost || nowMs - this.#lastAt < limitMs) return;
    this.#isLost = true;
    this.#context.emit({ type: 'mediaLost', cause: 'timeout' });
  }

  sent(): void {
    this.#isWithheld = false;
  }

  /** A mix frame must not be sent. */
  withheld(session: AudioSession | undefined): void {
    if (!session || !receives(session.direction)) return;
    this.framesWithheld += 1;
    if (this.#isWithheld) return;
    this.#isWithheld = true;
    this.#context.log.debug({}, 'No media is sent to the phone until it gives a sign of life.');
  }
}
