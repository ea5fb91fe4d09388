import type Srf from 'drachtio-srf';
import { nothingYet } from './sdp.js';

/** A phone's INVITE as drachtio-fsmrf needs it: only the offer, and where to put FreeSWITCH's answer. */
export class CaughtInvite {
  /** The phone's SDP offer. */
  readonly body: string;
  readonly answered: (sdp: string) => void;

  constructor(offer: string, answered: (sdp: string) => void) {
    this.body = offer;
    this.answered = answered;
  }
}

interface CallOptions {
  readonly localSdp?: string;
  readonly headers?: Record<string, string>;
}

/** The method of drachtio-srf that is called here. Its own types lack `noAck`. */
interface CallPlacer {
  createUAC(
    uri: string,
    options: CallOptions & { noAck?: boolean },
    ...rest: unknown[]
  ): Promise<OfferedCall>;
}

/** A call whose 200 had an offer: the answer must be in the ACK. */
interface OfferedCall {
  readonly sdp: string;
  ack(sdp: string): Promise<unknown>;
}

/** drachtio-srf's own ACK would return FreeSWITCH's offer to it, with its own SRTP keys. */
async function placeWithoutOffer(placer: CallPlacer, uri: string, options: CallOptions): Promise<unknown> {
  const call = await placer.createUAC(uri, { ...options, noAck: true });
  return call.ack(nothingYet(call.sdp));
}

type Callback = (error: unknown, dialog?: unknown) => void;

/** Stands in for the phone's dialog, which drachtio-fsmrf destroys when FreeSWITCH does not connect back. */
const NO_DIALOG = { destroy: (): void => undefined };

/**
 * The drachtio-srf that drachtio-fsmrf uses. It places the calls to FreeSWITCH. Answers to phones are not sent but handed
 * back, because `phone/` answers phones.
 */
export class LegSignalling {
  readonly #srf: () => Srf;

  constructor(srf: () => Srf) {
    this.#srf = srf;
  }

  createUAC(uri: string, options: CallOptions, ...rest: unknown[]): unknown {
    const placer = this.#srf() as unknown as CallPlacer;
    if (options.localSdp === undefined) return placeWithoutOffer(placer, uri, options);
    return placer.createUAC(uri, options, ...rest);
  }

  createUAS(
    invite: CaughtInvite,
    _response: object,
    { localSdp }: { localSdp: string },
    done?: Callback,
  ): Promise<typeof NO_DIALOG> {
    invite.answered(localSdp);
    done?.(null, NO_DIALOG);
    return Promise.resolve(NO_DIALOG);
  }
}
