import type { SipSource } from '../types.js';
import { networkOf, samePeer } from './peer-search.js';
import type { PeerAddress } from './peer-search.js';

/** How long an address is sent to that gives no sign: of all such addresses of a call together. */
const TRIAL_MS = 10_000;
/** Hosts remembered of one call; phones seldom have more than one. */
const MAX_PROVEN = 4;
/** No phone takes media at a system port (RFC 6335): that is somebody's DNS, NTP or SNMP. */
export const FIRST_USER_PORT = 1024;
/** Networks that mean nothing to those who are not in them themselves. */
const NEAR_NETWORKS: readonly string[] = ['loopback', 'linkLocal'];

/**
 * Whether media may be sent to an address that an SDP announces. An INVITE can be forged, and a true one can name
 * somebody else's address; so nothing is sent before the call is acknowledged or the phone is heard, and no longer
 * than some seconds before there is a sign that somebody is there who wants it: a packet of his, or a SIP request
 * within the call that came from there, with the tag that only the one who got our 200 can know.
 */
export class SendConsent {
  #announced: PeerAddress | undefined;
  /** The call is acknowledged, or the phone was heard. */
  #begun = false;
  /** Something came from the announced address. */
  #answered = false;
  /** The peer is FreeSWITCH on a private network, or who drives the plane says nothing of SIP. */
  #trusted = true;
  #sipSource: SipSource | undefined;
  readonly #proven: string[] = [];
  #trialSince: number | undefined;
  #spentMs = 0;

  /** Takes a newly announced address. */
  announce(peer: PeerAddress | undefined, nowMs: number): void {
    if (!peer || samePeer(peer, this.#announced)) return;
    // Another address gets what time is left: moving the media again and again does not renew it.
    if (this.#trialSince !== undefined && !this.#answered) this.#spentMs += nowMs - this.#trialSince;
    this.#trialSince = undefined;
    this.#announced = peer;
    this.#answered = false;
  }

  /** A SIP message of the phone came; one within the call proves that somebody takes what is sent to its source. */
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

  /** Something of the phone came. @param fromAnnounced from where it is announced to be */
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

  /** Whether the announced address is one that a phone can be at: others have to be heard first. */
  #isPlausible({ address, port }: PeerAddress): boolean {
    if (port < FIRST_USER_PORT) return false;
    const network = networkOf(address);
    if (!NEAR_NETWORKS.includes(network) || !this.#sipSource) return true;
    return networkOf(this.#sipSource.address) === network;
  }
}
