import type Srf from 'drachtio-srf';
import { type EndReason, PatchbayError } from '../../../core/index.js';
import type { PhoneDoor } from '../../../media/index.js';
import type { PhoneCall } from '../call.js';
import { attend, type AttendOptions } from '../dialog/attend.js';
import { endLostTransfer } from '../dialog/transfer.js';
import type { PhoneGate } from '../options.js';
import { logFailure } from '../refusal.js';
import type { FreeswitchRecords } from './call-keeper.js';
import type { LeftCall } from './left-calls.js';
import { restoreDialog } from './restored-dialog.js';

interface GoOnOptions extends AttendOptions {
  readonly srf: Srf;
  readonly gate: PhoneGate;
  readonly media: PhoneDoor;
  /** Absent without FreeSWITCH. */
  readonly freeswitch: FreeswitchRecords | undefined;
}

/** Goes on with a call that an earlier gateway has left. If that is impossible, its phone gets BYE. */
export class RestoredCall {
  readonly call: PhoneCall;
  readonly #left: LeftCall;
  readonly #options: GoOnOptions;
  readonly #settle: () => Promise<void>;

  /**
   * Connects the call's dialog. Before the SIP server is connected to, so that no request of the phone finds the call
   * missing.
   */
  constructor(call: PhoneCall, left: LeftCall, options: GoOnOptions) {
    this.call = call;
    this.#left = left;
    this.#options = options;
    const { record } = left;
    call.keeper.restore(left);
    if (left.isElsewhere) call.byes.wasElsewhere();
    const dialog = restoreDialog(options.srf, record.dialog, record.source);
    if (record.awaitsAck) call.awaitAck(dialog);
    // Before the media: what they tell may end the call, and then its phone gets BYE.
    const exchange = attend(call, dialog, options);
    exchange.restore(record.exchange);
    // The FreeSWITCH on the way has no gateway any more that could go on with its legs.
    const isCutOff = left.isElsewhere === true && record.freeswitch !== undefined;
    if (record.owedBye || isCutOff) {
      call.hangUp(isCutOff ? 'lost' : 'disconnected', undefined, record.owedBye);
      this.#settle = () => Promise.resolve();
      return;
    }
    this.#settle = async () => {
      if (record.transferring) await endLostTransfer(call, dialog);
      // An answer to the offer before, if one came, is lost.
      if ((!record.exchange.owesOffer && !left.isElsewhere) || call.ended) return;
      const { outcome } = await exchange.offer({});
      if (outcome === 'gone') call.vanished('left');
      // It has no way to send to us.
      else if (outcome === 'refused' && left.isElsewhere)
        call.hangUp('error', 'The phone does not go on at another gateway.');
    };
  }

  /** Connects the call to the core, and goes on with its media. */
  async goOn(): Promise<void> {
    const { call } = this;
    const { record, carried } = this.#left;
    if (call.ended) return;
    const { gate } = this.#options;
    try {
      const participant = await gate.participantOf(record.participantId);
      if (!participant)
        throw new PatchbayError('PATCHBAY_PARTICIPANT_NOT_FOUND', 'The participant was deleted.');
      const connected = call.reconnect(gate, participant, record);
      if (carried) call.publish(carried[0]);
      await connected;
    } catch (error) {
      this.#fail(error);
    }
    this.#takeMedia();
  }

  #takeMedia(): void {
    const { call } = this;
    if (call.ended) return;
    this.#try(() => {
      const handle = call.takeMedia((spec, listener) => {
        const { carried, media, record } = this.#left;
        const { media: door, freeswitch } = this.#options;
        if (record.freeswitch && !freeswitch)
          throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'No FreeSWITCH is configured any more.');
        // Clocks may be set back.
        const restored = media && {
          state: media.state,
          ageMs: Math.max(0, Date.now() - media.stateAt),
          isElsewhere: this.#left.isElsewhere,
        };
        const found = carried
          ? door.adoptPhone(spec.deviceId, listener)
          : restored && door.open({ ...spec, restored }, listener);
        if (!found) throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The media are gone.');
        return found;
      });
      handle.opened.then(
        ({ stream }) => stream && call.publish(stream),
        (error: unknown) => this.#fail(error),
      );
      call.log.info({ ...call.keeper.audio }, 'Call goes on.');
    });
  }

  /** Once the SIP server can be reached: does what the earlier gateway owed to the phone. */
  settle(): void {
    this.#settle().catch((error: unknown) => {
      logFailure(this.call.log, error, 'What the gateway before owed to the phone could not be done.');
      // The phone does not know where its media are now.
      if (this.#left.isElsewhere) this.call.hangUp('lost');
    });
  }

  #try(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.call.ended) return;
    logFailure(this.call.log, error, 'A call of the gateway before cannot go on.');
    this.call.hangUp(reasonOf(error));
  }
}

const REASONS: ReadonlyMap<string, EndReason> = new Map([
  ['PATCHBAY_PARTICIPANT_NOT_FOUND', 'participant-deleted'],
  ['PATCHBAY_ALREADY_CONNECTED', 'replaced'],
  ['PATCHBAY_SHUTTING_DOWN', 'shutdown'],
]);

function reasonOf(error: unknown): EndReason {
  return (error instanceof PatchbayError ? REASONS.get(error.code) : undefined) ?? 'lost';
}
