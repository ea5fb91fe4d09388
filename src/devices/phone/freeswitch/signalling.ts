import type Srf from 'drachtio-srf';
import { nothingYet } from './sdp.js';

/** A phone's INVITE as drachtio-fsmrf needs it: just its offer, and where to put FreeSWITCH's answer. */
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

/** The part of drachtio-srf that is called here, as it is; its own types leave `noAck` out. */
interface CallPlacer {
  createUAC(
    uri: string,
    options: CallOptions & { noAck?: boolean },
    ...rest: unknown[]
  ): Promise<OfferedCall>;
}

/** A call that was answered with an offer, and waits for an answer to it in the ACK. */
interface OfferedCall {
  readonly sdp: string;
  ack(sdp: string): Promise<unknown>;
}

/** drachtio-srf's own ACK would give FreeSWITCH its own offer back, SRTP with its own keys included. */
async function placeWithoutOffer(placer: CallPlacer, uri: string, options: CallOptions): Promise<unknown> {
  const call = await placer.createUAC(uri, { ...options, noAck: true });
  return call.ack(nothingYet(call.sdp));
}

type Callback = (error: unknown, dialog?: unknown) => void;

/** What drachtio-fsmrf holds for the dialog with the phone, and tears down when FreeSWITCH fails to call back. */
const NO_DIALOG = { destroy: (): void => undefined };

/**
 * The drachtio-srf that drachtio-fsmrf works with. It places the calls to FreeSWITCH; an answer to a phone is caught
 * and handed back instead of sent, for answering phones is the business of `phone/`.
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
