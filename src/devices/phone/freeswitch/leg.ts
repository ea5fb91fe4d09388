import type { Dialog } from 'drachtio-fsmrf';
import type { Logger } from 'pino';
import { settledWithin, withinLimit } from '../../../shared/index.js';

const MODIFY_LIMIT_MS = 5000;
const HANG_UP_LIMIT_MS = 2000;
/** A BYE over UDP is sent three times within it. */
const BYE_LIMIT_MS = 2000;
const PARTNER_LIMIT_MS = 2000;
/** A cause of Q.850, for a BYE that names none. */
const UNNAMED_CAUSE = 'NORMAL_UNSPECIFIED';

/** The channel of a leg, and its dialog, as drachtio-fsmrf has them. */
export interface Channel {
  readonly uuid: string;
  readonly local: { readonly mediaIp: string };
  readonly dialog: Dialog;
  execute(application: string, argument: string, done: () => void): void;
  once(event: 'destroy', listener: (end?: { reason?: string }) => void): unknown;
}

/** Runs one command of FreeSWITCH's `api`. */
type Api = (command: string) => Promise<string>;

/** FreeSWITCH refused a change of media. */
export class ModifyRefused extends Error {
  override readonly name = 'ModifyRefused';
  readonly status: number;

  constructor(status: number, reason: string) {
    super(`FreeSWITCH refused the new media: ${status} ${reason}`);
    this.status = status;
  }
}

/** One call leg in a FreeSWITCH: a channel there, an ESL connection and a SIP dialog here. */
export class Leg {
  /** Of the channel. */
  readonly uuid: string;
  /** The address that the leg's RTP is bound to, whatever its SDP says to the world. */
  readonly mediaIp: string;
  readonly #channel: Channel;
  readonly #api: Api;
  readonly #log: Logger;
  readonly #byeComes: boolean;
  readonly #channelGone: Promise<void>;
  readonly #dialogGone: Promise<void>;
  /**
   * Settles when the leg ends without our doing: with FreeSWITCH's hang-up cause, or with undefined when it is lost,
   * though nobody hung up. After {@link hangUp} or {@link abandon} it never settles.
   */
  readonly ended: Promise<string | undefined>;
  #settleEnded!: (hangupCause: string | undefined) => void;
  #isGone = false;
  /** Its end is our doing. */
  #isLeft = false;

  /** @param byeComes whether a BYE of FreeSWITCH reaches us */
  constructor(channel: Channel, api: Api, log: Logger, byeComes = true) {
    this.uuid = channel.uuid;
    this.mediaIp = channel.local.mediaIp;
    this.#channel = channel;
    this.#api = api;
    this.#log = log.child({ leg: channel.uuid });
    this.#byeComes = byeComes;
    this.ended = new Promise((resolve) => (this.#settleEnded = resolve));
    this.#dialogGone = new Promise((resolve) => {
      if (!byeComes) resolve();
      channel.dialog.on('destroy', (bye) => {
        resolve();
        this.#end(causeIn(bye.get('Reason')));
      });
    });
    this.#channelGone = new Promise((resolve) => {
      channel.once('destroy', (end) => {
        resolve();
        if (end?.reason === undefined) void this.#endWithBye();
        else this.#end(end.reason);
      });
    });
  }

  /**
   * FreeSWITCH closes a leg's event socket once its channel is down, and often drops the event with the cause. Its BYE
   * names the cause, too, and is sent after that; a leg that is lost gets none.
   */
  async #endWithBye(): Promise<void> {
    await settledWithin(this.#dialogGone, BYE_LIMIT_MS);
    this.#end(undefined);
  }

  #end(hangupCause: string | undefined): void {
    this.#isGone = true;
    if (!this.#isLeft) this.#settleEnded(hangupCause);
  }

  get dialog(): Dialog {
    return this.#channel.dialog;
  }

  /** What FreeSWITCH said in answer to the last INVITE; to one without SDP: its offer. */
  get sdp(): string {
    return this.dialog.remote.sdp;
  }

  /**
   * Re-INVITEs FreeSWITCH. drachtio-srf's own `modify` would never return again after one refusal.
   * @returns FreeSWITCH's answer
   * @throws ModifyRefused, LimitPassed
   */
  async modify(sdp: string): Promise<string> {
    const { dialog } = this;
    const answer = new Promise<string>((resolve, reject) => {
      const headers = { Contact: dialog.local.contact };
      dialog.request({ method: 'INVITE', body: sdp, headers }, (error, response) => {
        if (response === undefined) reject(error instanceof Error ? error : new Error(String(error)));
        else if (response.status === 200) resolve(response.body ?? '');
        else if (response.status > 200) reject(new ModifyRefused(response.status, response.reason));
      });
    });
    return withinLimit(answer, MODIFY_LIMIT_MS, 'Re-INVITE to FreeSWITCH');
  }

  /** Lets FreeSWITCH find DTMF in the sound of a phone that has no events. */
  findDtmf(): void {
    this.#channel.execute('spandsp_start_dtmf', '', () => undefined);
  }

  /** Ends the leg on both sides. Resolves when it is gone, or after 2 s. */
  async hangUp(): Promise<void> {
    this.#isLeft = true;
    try {
      if (!this.#isGone)
        await withinLimit(this.#api(`uuid_kill ${this.uuid}`), HANG_UP_LIMIT_MS, 'uuid_kill');
      await withinLimit(Promise.all([this.#channelGone, this.#dialogGone]), HANG_UP_LIMIT_MS, 'Hanging up');
      if (!this.#byeComes) this.abandon();
    } catch (error) {
      this.#log.debug({ err: error }, 'FreeSWITCH did not end a leg; ending its dialog.');
      this.abandon();
    }
  }

  /** Ends what there is on this side, without counting on FreeSWITCH. */
  abandon(): void {
    this.#isLeft = true;
    this.dialog.destroy().catch((error: unknown) => {
      this.#log.debug({ err: error }, 'A leg’s dialog was gone already.');
    });
  }
}

/**
 * Why FreeSWITCH ended the legs of a call, of which one has ended. They end together (`hangup_after_bridge`), and only
 * one may know why: its partner is hung up with NORMAL_CLEARING, and can be the first to tell.
 */
export async function hangupCauses(legs: readonly (Promise<Leg> | undefined)[]): Promise<string[]> {
  const causes: string[] = [];
  const ends = legs.map(async (leg) => {
    const cause = await (await leg)?.ended;
    if (cause !== undefined) causes.push(cause);
  });
  await settledWithin(Promise.allSettled(ends), PARTNER_LIMIT_MS);
  return causes;
}

/** FreeSWITCH's name for the cause in a Reason header (RFC 3326): `Q.850;cause=16;text="NORMAL_CLEARING"`. */
function causeIn(reason: string | undefined): string {
  return /;text="([A-Z0-9_]+)"/.exec(reason ?? '')?.[1] ?? UNNAMED_CAUSE;
}
