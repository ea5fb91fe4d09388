import { randomInt } from 'node:crypto';
import type { AudioCodec } from '../codecs/index.js';
import { receives } from '../sdp/index.js';
import type { PhoneCrypto } from './phone-crypto.js';
import type { BoundPorts } from './phone-ports.js';
import {
  agreeOn,
  type AudioSession,
  chooseAudio,
  isOnHold,
  type OfferedFormats,
} from './sdp/audio-session.js';
import { requireOffered } from './sdp/crypto.js';
import { formatsToOffer, type LocalEnd, writeAnswer, writeOffer } from './sdp/local-description.js';
import { readRemoteDescription, type RemoteSection, switchesAudioOff } from './sdp/remote-description.js';

/** How far a phone's offers and answers are. */
export interface NegotiationState {
  /** Of our o= line (RFC 8866 section 5.2). */
  readonly sessionId: string;
  readonly version: number;
  readonly session?: AudioSession | undefined;
  /** The formats of our last offer. */
  readonly offered?: OfferedFormats | undefined;
  readonly hasListened: boolean;
}

interface NegotiationParts {
  /** The allowed codecs, in the order in which they are offered. */
  readonly codecs: readonly AudioCodec[];
  readonly opusDtx: boolean;
  readonly crypto: PhoneCrypto;
  readonly before?: NegotiationState | undefined;
}

/** What a description of the phone asks for, to be applied by {@link Negotiation.agree}. */
interface Taken {
  readonly session: AudioSession;
  /** The phone's m-line; absent when its audio is off: then the ports stay. */
  readonly section?: RemoteSection;
}

interface TakenOffer extends Taken {
  /** Writes the answer. */
  readonly answer: (bound: BoundPorts) => string;
}

/** One phone's offers and answers, and what was agreed on by them. */
export class Negotiation {
  readonly #parts: NegotiationParts;
  readonly #sessionId: string;
  #version: number;
  #session: AudioSession | undefined;
  #offered: OfferedFormats | undefined;
  #hasListened: boolean;

  constructor(parts: NegotiationParts) {
    const { before } = parts;
    this.#parts = parts;
    this.#sessionId = before?.sessionId ?? randomInt(2 ** 47).toString();
    this.#version = before?.version ?? 0;
    this.#offered = before?.offered;
    this.#hasListened = before?.hasListened ?? false;
  }

  get session(): AudioSession | undefined {
    return this.#session;
  }

  get isHeld(): boolean {
    return this.#session !== undefined && isOnHold(this.#session, this.#hasListened);
  }

  get state(): NegotiationState {
    return {
      sessionId: this.#sessionId,
      version: this.#version,
      session: this.#session,
      offered: this.#offered,
      hasListened: this.#hasListened,
    };
  }

  /** Writes our offer. */
  offer(bound: BoundPorts): string {
    this.#offered = formatsToOffer(this.#session, this.#parts.codecs);
    return writeOffer(this.#end(bound), this.#session, this.#offered);
  }

  /**
   * Reads the phone's offer.
   * @throws MediaError BAD_SDP, NO_COMMON_CODEC, NO_COMMON_TRANSPORT
   */
  takeOffer(sdp: string): TakenOffer {
    const { codecs } = this.#parts;
    const offer = readRemoteDescription(sdp);
    if (this.#session && switchesAudioOff(offer)) {
      // Port 0 (RFC 3264 section 8.2): no media until the phone's next offer.
      const session = { ...this.#session, direction: 'inactive', held: true } as const;
      return { session, answer: (bound) => writeAnswer(this.#end(bound), offer, undefined, session) };
    }
    const choice = chooseAudio(offer, codecs);
    const session = agreeOn(choice.section, codecs);
    return {
      session,
      section: choice.section,
      answer: (bound) => writeAnswer(this.#end(bound), offer, choice, session),
    };
  }

  /**
   * Reads the phone's answer to our offer.
   * @throws MediaError BAD_SDP, NO_COMMON_CODEC, NO_COMMON_TRANSPORT
   */
  takeAnswer(sdp: string): Taken {
    const { codecs } = this.#parts;
    const { section } = chooseAudio(readRemoteDescription(sdp), codecs);
    const { sentComfortNoise, ...agreed } = agreeOn(section, codecs, this.#offered ?? this.#session?.offered);
    // An answer may have it only if our offer had it.
    const hasNoise = sentComfortNoise !== undefined && this.#session?.sentComfortNoise !== undefined;
    const session = hasNoise ? { ...agreed, sentComfortNoise } : agreed;
    requireOffered(this.#session?.crypto, session.crypto);
    return { session, section };
  }

  agree(session: AudioSession): void {
    this.#session = session;
    this.#hasListened ||= receives(session.direction);
  }

  #end(bound: BoundPorts): LocalEnd {
    const { crypto, opusDtx } = this.#parts;
    this.#version += 1;
    return {
      address: bound.announced,
      port: bound.socket.port,
      sessionId: this.#sessionId,
      version: this.#version,
      keyFor: (suite) => crypto.keyFor(suite),
      opusDtx,
    };
  }
}
