import type { Endpoint } from 'drachtio-fsmrf';
import type { Logger } from 'pino';
import { withinLimit } from '../../../shared/index.js';

const MODIFY_LIMIT_MS = 5000;
const HANG_UP_LIMIT_MS = 2000;

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
  readonly #endpoint: Endpoint;
  readonly #api: Api;
  readonly #log: Logger;
  readonly #channelGone: Promise<void>;
  readonly #dialogGone: Promise<void>;
  #ended = false;
  #onEnded: ((hangupCause: string | undefined) => void) | undefined;

  constructor(endpoint: Endpoint, api: Api, log: Logger) {
    this.uuid = endpoint.uuid;
    this.mediaIp = endpoint.local.mediaIp;
    this.#endpoint = endpoint;
    this.#api = api;
    this.#log = log.child({ leg: endpoint.uuid });
    this.#dialogGone = new Promise((resolve) => endpoint.dialog.on('destroy', resolve));
    this.#channelGone = new Promise((resolve) => {
      endpoint.once('destroy', (end) => {
        this.#ended = true;
        resolve();
        this.#onEnded?.(end?.reason);
      });
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** @param onEnded called when the leg ends without our doing */
  watch(onEnded: (hangupCause: string | undefined) => void): void {
    this.#onEnded = onEnded;
  }

  /** What FreeSWITCH said in answer to the last INVITE; to one without SDP: its offer. */
  get sdp(): string {
    return this.#endpoint.dialog.remote.sdp;
  }

  /**
   * Re-INVITEs FreeSWITCH. drachtio-srf's own `modify` would never return again after one refusal.
   * @returns FreeSWITCH's answer
   * @throws ModifyRefused, LimitPassed
   */
  async modify(sdp: string): Promise<string> {
    const { dialog } = this.#endpoint;
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
    this.#endpoint.execute('spandsp_start_dtmf', '', () => undefined);
  }

  /** Ends the leg on both sides. Resolves when it is gone, or after 2 s. */
  async hangUp(): Promise<void> {
    this.#onEnded = undefined;
    try {
      if (!this.#ended) await withinLimit(this.#api(`uuid_kill ${this.uuid}`), HANG_UP_LIMIT_MS, 'uuid_kill');
      await withinLimit(Promise.all([this.#channelGone, this.#dialogGone]), HANG_UP_LIMIT_MS, 'Hanging up');
    } catch (error) {
      this.#log.debug({ err: error }, 'FreeSWITCH did not end a leg; ending its dialog.');
      this.abandon();
    }
  }

  /** Ends what there is on this side, without counting on FreeSWITCH. */
  abandon(): void {
    this.#onEnded = undefined;
    this.#endpoint.dialog.destroy().catch((error: unknown) => {
      this.#log.debug({ err: error }, 'A leg’s dialog was gone already.');
    });
  }
}
