import { randomUUID } from 'node:crypto';
import {
  type AddressFilter,
  BoundedMap,
  inNetworks,
  type Log,
  maskTokens,
  TokenBucket,
} from '../../shared/index.js';
import type { DeviceGate, DeviceInfo, Participant } from '../../core/index.js';
import { offeredAudioCodecs } from '../../media/index.js';
import { calledAndCaller } from './caller.js';
import type { Refusal } from './refusal.js';
import { callIdOf, header, sdpOf, type SipRequest } from './sip.js';
import { authenticate } from './tokens/authenticate.js';

/**
 * So many calls that found no room are looked up: each costs signature checks, at a time when there is none to spare.
 */
const LOOKED_UP = { perSecond: 20, burst: 100 };
/** So many of them are remembered, so that a retransmission is not one more call. */
const REMEMBERED = 1_000;

/** The parts of an INVITE that a report is made of. */
type RefusedInvite = Pick<SipRequest, 'uri' | 'get' | 'source_address' | 'body'>;

interface ReportsOptions {
  readonly gate: Pick<DeviceGate, 'authenticate' | 'callFailed'>;
  /** Headers that may carry a token, besides User-to-User. */
  readonly tokenHeaders: readonly string[];
  /** CIDRs of peers whose P-Asserted-Identity is trusted. Default none. */
  readonly trustedPeers?: readonly string[] | undefined;
  readonly log: Log;
  /** Monotonic time in ms. */
  readonly now?: () => number;
}

/**
 * Reports refused INVITEs to the core that carry the token of a participant, even an expired one. Calls without a valid
 * token are only logged, for the operator.
 */
export class FailedCallReports {
  readonly #options: ReportsOptions;
  readonly #isTrusted: AddressFilter;
  readonly #now: () => number;
  readonly #lookups: TokenBucket;
  readonly #known = new BoundedMap<string, true>(REMEMBERED);
  #notLookedUp = 0;

  /** @throws Error when `trustedPeers` has an invalid CIDR */
  constructor(options: ReportsOptions) {
    this.#options = options;
    this.#isTrusted = inNetworks(options.trustedPeers ?? []);
    this.#now = options.now ?? (() => performance.now());
    this.#lookups = new TokenBucket(LOOKED_UP, this.#now());
  }

  /** Calls that found no room and were not looked up, because there were too many. */
  get notLookedUp(): number {
    return this.#notLookedUp;
  }

  /** A call was refused. */
  report(invite: RefusedInvite, info: DeviceInfo, refusal: Refusal): void {
    this.#report(invite, info, refusal).catch((error: unknown) => {
      this.#options.log.error(
        { err: error, callId: info.externalId },
        'A failed call could not be reported.',
      );
    });
  }

  async #report(
    invite: RefusedInvite,
    info: DeviceInfo,
    { status, message: reason }: Refusal,
  ): Promise<void> {
    const participant = await this.#participantOf(invite);
    if (!participant) return;
    const { id, kind, externalId, direction, caller, callerName, called } = info;
    const { gate, log } = this.#options;
    gate.callFailed(participant, {
      id,
      kind,
      externalId,
      direction,
      ...(caller !== undefined && { caller }),
      ...(callerName !== undefined && { callerName }),
      ...(called !== undefined && { called }),
      status,
      reason,
      codecs: offeredAudioCodecs(sdpOf(invite) ?? ''),
    });
    const { id: participantId, accountId: account } = participant;
    log.warn(
      {
        callId: externalId,
        deviceId: externalId,
        peer: invite.source_address,
        participantId,
        account,
        status,
        reason,
      },
      'Call failed.',
    );
  }

  /** A call was refused because there was no room for it: it got nothing but a 503. Called again when it is repeated. */
  foundNoRoom(invite: RefusedInvite, refusal: Refusal): void {
    const callId = callIdOf(invite);
    const transaction = `${callId} ${header(invite, 'cseq') ?? ''}`;
    if (this.#known.get(transaction)) return;
    this.#known.set(transaction, true);
    if (!this.#lookups.take(this.#now())) {
      this.#notLookedUp += 1;
      return;
    }
    const info = {
      id: randomUUID(),
      kind: 'phone',
      externalId: maskTokens(callId),
      direction: 'inbound',
      ...calledAndCaller(invite, this.#isTrusted),
    } as const;
    this.report(invite, info, refusal);
  }

  async #participantOf(invite: RefusedInvite): Promise<Participant | undefined> {
    const { gate, tokenHeaders } = this.#options;
    try {
      const ignoringExpiry = (token: string) => gate.authenticate(token, { ignoreExpiry: true });
      return await authenticate(invite, tokenHeaders, { authenticate: ignoringExpiry });
    } catch {
      // It has no participant's token; the refusal says so.
      return undefined;
    }
  }
}
