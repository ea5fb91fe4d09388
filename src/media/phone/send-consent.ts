import type { SipSource } from '../types.js';
import { networkOf, samePeer } from './peer-search.js';
import type { PeerAddress } from './peer-search.js';

/** How long a call may send to addresses that give no sign, in total. */
const TRIAL_MS = 10_000;
/** Hosts remembered of one call; phones seldom have more than one. */
const MAX_PROVEN = 4;
/** No phone takes media at a system port (RFC 6335): that is somebody's DNS, NTP or SNMP. */
export const FIRST_USER_PORT = 1024;
/** An address of these networks is believed only if the SIP messages come from the same kind of network. */
const NEAR_NETWORKS: readonly string[] = ['loopback', 'linkLocal'];

/** What a call's consent rests on. */
export interface ConsentState {
  readonly announced?: PeerAddress | undefined;
  readonly begun: boolean;
  readonly answered: boolean;
  readonly trusted: boolean;
  readonly sipSource?: SipSource | undefined;
  readonly proven: readonly string[];
  readonly spentMs: number;
}

/**
 * Whether media may be sent to the address that an SDP announces. An INVITE can be forged, and a genuine one
 * can name a victim's address. So nothing is sent before the call is acknowledged or the phone is heard, and
 * then only for some seconds until the address gives a sign: a media packet, or a SIP request within the
 * call, whose tag only the receiver of our 200 can know.
 */
export class SendConsent {
  #announced: PeerAddress | undefined;
  /** The call is acknowledged, or the phone was heard. */
  #begun = false;
  /** Something came from the announced address. */
  #answered = false;
  /** The peer is FreeSWITCH on a private network, or the plane is used without SIP. */
  #trusted = true;
  #sipSource: SipSource | undefined;
  readonly #proven: string[] = [];
  #trialSince: number | undefined;
  #spentMs = 0;

  /** @param before of the process that died */
  constructor(before?: ConsentState) {
    if (!before) return;
    this.#announced = before.announced;
    this.#begun = before.begun;
    this.#answered = before.answered;
    this.#trusted = before.trusted;
    this.#sipSource = before.sipSource;
    this.#proven.push(...before.proven);
    this.#spentMs = before.spentMs;
  }

  state(nowMs: number): ConsentState {
    const trialMs = this.#trialSince === undefined || this.#answered ? 0 : nowMs - this.#trialSince;
    return {
      announced: this.#announced,
      begun: this.#begun,
      answered: this.#answered,
      trusted: this.#trusted,
      sipSource: this.#sipSource,
      proven: [...this.#proven],
      spentMs: this.#spentMs + trialMs,
    };
  }

  /** Takes a newly announced address. */
  announce(peer: PeerAddress | undefined, nowMs: number): void {
    if (!peer || samePeer(peer, this.#announced)) return;
    // A new address gets only the time that is left: moving the media does not renew it.
    if (this.#trialSince !== undefined && !this.#answered) this.#spentMs += nowMs - this.#trialSince;
    this.#trialSince = undefined;
    this.#announced = peer;
    this.#answered = false;
  }

  /**
   * A SIP message of the phone came; one within the call proves that its source receives what is sent there.
   */
  signalled(source: SipSource, withinCall: boolean): void {
    this.#trusted = false;
    this.#sipSource = source;
    if (withinCall) this.#begun = true;
    if ((!withinCall && !source.isConnection) || this.#proven.includes(source.address)) return;
    this.#proven.push(source.address);
    if (this.#proven.length > MAX_PROVEN) this.#proven.shift();
  }

  /** The peer is FreeSWITCH on a private network. */
  trust(): void {
    this.#trusted = true;
  }

  /** A packet of the phone came. @param fromAnnounced it came from the announced address */
  heard(fromAnnounced: boolean): void {
    this.#begun = true;
    if (fromAnnounced) this.#answered = true;
  }

  /** Whether to send to the announced address. */
  allows(nowMs: number): boolean {
    if (this.#trusted) return true;
    if (!this.#begun || !this.#announced) return false;
    if (this.#answered) return true;
    if (!this.#isPlausible(this.#announced)) return false;
    if (this.#proven.includes(this.#announced.address)) return true;
    this.#trialSince ??= nowMs;
    return this.#spentMs + nowMs - this.#trialSince < TRIAL_MS;
  }

  /** Whether a phone can be at the announced address; at any other it must be heard first. */
  #isPlausible({ address, port }: PeerAddress): boolean {
    if (port < FIRST_USER_PORT) return false;
    const network = networkOf(address);
    if (!NEAR_NETWORKS.includes(network) || !this.#sipSource) return true;
    return networkOf(this.#sipSource.address) === network;
  }
}
