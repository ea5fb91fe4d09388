import { EventEmitter } from 'node:events';
import type { Dialog } from 'drachtio-fsmrf';
import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import type { EmbeddedServer } from '../restore/call-keeper.js';
import type { FreeswitchRecord, LegRecord } from '../restore/call-record.js';
import { dialogRecordOf, restoreDialog } from '../restore/restored-dialog.js';
import type { SipDialog } from '../sip.js';
import { type Channel, Leg } from './leg.js';
import type { BridgedLegs } from './legs.js';
import type { FreeswitchServer } from './server.js';

type SavedLegs = NonNullable<FreeswitchRecord['legs']>;

interface CarriedLegsOptions {
  /** Those that legs' dialogs may be with, by their names. */
  readonly sipServers: ReadonlyMap<string, Srf>;
  /** Absent with drachtio-server. */
  readonly embedded: EmbeddedServer | undefined;
  readonly log: Logger;
}

/** Legs that live on while no gateway is there: keeps them for the next one, and goes on with those of the one before. */
export class CarriedLegs {
  readonly #options: CarriedLegsOptions;

  constructor(options: CarriedLegsOptions) {
    this.#options = options;
  }

  /** @returns undefined when a leg could not be gone on with */
  save({ phone, media }: BridgedLegs): SavedLegs | undefined {
    const saved = { phone: this.#save(phone), media: this.#save(media) };
    if (!saved.phone || !saved.media) return undefined;
    return { phone: saved.phone, media: { ...saved.media, sdp: media.sdp } };
  }

  /** Whether there is a SIP server that has its dialog. */
  knows({ sipServer }: LegRecord): boolean {
    return this.#options.sipServers.has(sipServer);
  }

  /**
   * Goes on with legs. To be called before their SIP server is connected to, so that no BYE finds them missing. If they
   * are gone, they end at once.
   * @returns undefined when no SIP server has their dialogs
   */
  restore({ phone, media }: SavedLegs, server: FreeswitchServer | undefined): BridgedLegs | undefined {
    const { sipServers } = this.#options;
    const [ofPhone, ofMedia] = [sipServers.get(phone.sipServer), sipServers.get(media.sipServer)];
    if (!ofPhone || !ofMedia) return undefined;
    return { phone: this.#restore(phone, ofPhone, server), media: this.#restore(media, ofMedia, server) };
  }

  #save({ uuid, mediaIp, dialog }: Leg): LegRecord | undefined {
    const sip = dialog as unknown as SipDialog & { readonly srf: Srf };
    const { sipServers, embedded } = this.#options;
    const sipServer = [...sipServers].find(([, srf]) => srf === sip.srf)?.[0];
    const record = embedded ? embedded.savedDialog(sip.id) : dialogRecordOf(sip);
    if (sipServer === undefined || !record) return undefined;
    // Our description is for refreshes of the session, which FreeSWITCH does not want.
    const { localSdp } = record;
    return {
      uuid,
      mediaIp,
      sipServer,
      dialog: { ...record, ...(localSdp !== undefined && { localSdp: '' }) },
    };
  }

  #restore(record: LegRecord, srf: Srf, server: FreeswitchServer | undefined): Leg {
    const { log, embedded } = this.#options;
    const dialog = restoreDialog(srf, record.dialog, record.mediaIp) as unknown as Dialog;
    Object.assign(dialog.remote, { sdp: record.sdp ?? '' });
    const channel = new CarriedChannel(record, dialog);
    const connection = server?.connection;
    const api = (command: string): Promise<string> =>
      connection ? connection.api(command) : Promise.reject(new Error('FreeSWITCH is down.'));
    // drachtio-server does not pass on a BYE in a dialog of an earlier connection.
    const leg = new Leg(channel, api, log, embedded !== undefined);
    if (connection) connection.watch(record.uuid, (cause) => channel.end(cause));
    else channel.end(undefined);
    return leg;
  }
}

/** The channel of a leg that an earlier gateway has made: FreeSWITCH does not connect back for it again. */
class CarriedChannel extends EventEmitter<{ destroy: [end?: { reason?: string }] }> implements Channel {
  readonly uuid: string;
  readonly local: { readonly mediaIp: string };
  readonly dialog: Dialog;

  constructor({ uuid, mediaIp }: LegRecord, dialog: Dialog) {
    super();
    this.uuid = uuid;
    this.local = { mediaIp };
    this.dialog = dialog;
  }

  /** What it was to execute it does already. */
  execute(): void {}

  end(cause: string | undefined): void {
    this.emit('destroy', ...(cause === undefined ? [] : [{ reason: cause }]));
  }
}
