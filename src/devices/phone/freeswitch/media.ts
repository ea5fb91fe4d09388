import type {
  MediaListener,
  PhoneDoor,
  PhoneHandle,
  PhoneMediaEvent,
  PhoneSpec,
} from '../../../media/index.js';
import { type CallRecord, type FreeswitchRecord, legsOf } from '../restore/call-record.js';
import type { CarriedLegs } from './carried-legs.js';
import { noServer } from './failure.js';
import {
  type FreeswitchOptions,
  FreeswitchPhone,
  type GoOn,
  type PhoneOptions,
  type WayBefore,
} from './phone.js';
import type { FreeswitchServer } from './server.js';

interface MediaOptions extends FreeswitchOptions {
  readonly carriedLegs: CarriedLegs;
  /** Calls that the gateway before has left, by their devices. */
  readonly left: ReadonlyMap<string, CallRecord>;
  /** What is to be kept of a device's way through FreeSWITCH has changed. */
  readonly onChanged: (deviceId: string) => void;
}

/**
 * Media of phones through FreeSWITCH, with the interface of the media plane. A phone that is served without FreeSWITCH goes
 * directly to the media plane.
 */
export class FreeswitchMedia implements PhoneDoor {
  readonly #options: MediaOptions;
  readonly #pool: FreeswitchPool;
  readonly #phones = new Map<string, FreeswitchPhone>();
  /** What nobody has gone on with. */
  readonly #left: Map<string, CallRecord>;

  constructor(pool: FreeswitchPool, options: MediaOptions) {
    this.#pool = pool;
    this.#options = options;
    this.#left = new Map(options.left);
  }

  /** The number of calls on a server now. */
  callsOn(server: FreeswitchServer): number {
    return [...this.#phones.values()].filter((phone) => phone.isOn(server)).length;
  }

  /** What another gateway needs to go on with a device's way; undefined when it goes without FreeSWITCH. */
  recordOf(deviceId: string): FreeswitchRecord | undefined {
    return this.#phones.get(deviceId)?.record();
  }

  /** The channels of calls that the gateway before has left, if a SIP server has their dialogs. */
  leftChannels(): Set<string> {
    const { carriedLegs } = this.#options;
    const known = [...this.#left.values()].flatMap(legsOf).filter((leg) => carriedLegs.knows(leg));
    return new Set(known.map(({ uuid }) => uuid));
  }

  /** Besides the plane's errors the handle rejects with PatchbayError OVERLOADED, NO_COMMON_CODEC. */
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle {
    const { deviceId, restored } = spec;
    if (!restored)
      return this.#added(deviceId, FreeswitchPhone.open(spec, listener, this.#optionsOf(deviceId)));
    const before = this.#wayBefore(deviceId);
    const ofPlane = before ? ({ ...spec, source: 'trusted' } as const) : spec;
    const takeMedia: GoOn['takeMedia'] = (toPhone) => this.#options.plane.open(ofPlane, toPhone);
    return this.#goOn({ spec, listener, takeMedia, before })!;
  }

  /** @throws PatchbayError OVERLOADED when its FreeSWITCH is not configured any more */
  adoptPhone(deviceId: string, listener: MediaListener<PhoneMediaEvent>): PhoneHandle | undefined {
    const before = this.#wayBefore(deviceId);
    const takeMedia: GoOn['takeMedia'] = (toPhone) => this.#options.plane.adoptPhone(deviceId, toPhone);
    return this.#goOn({ spec: { kind: 'phone', deviceId }, listener, takeMedia, before });
  }

  /** Hangs up the legs of calls that nobody has gone on with. To be called when the SIP servers can be reached. */
  releaseLeft(): void {
    for (const { freeswitch } of this.#left.values()) {
      if (!freeswitch?.legs) continue;
      const server = this.#pool.find(freeswitch.server);
      const legs = this.#options.carriedLegs.restore(freeswitch.legs, server);
      if (legs) for (const leg of [legs.phone, legs.media]) void leg.hangUp();
    }
    this.#left.clear();
  }

  /** Moves all calls of a FreeSWITCH that is down to another one, or ends them. */
  lost(server: FreeswitchServer): void {
    for (const phone of this.#phones.values()) if (phone.isOn(server)) phone.orphaned();
  }

  #goOn(what: GoOn): PhoneHandle | undefined {
    const { deviceId } = what.spec;
    const phone = FreeswitchPhone.goOn(what, this.#optionsOf(deviceId));
    if (!phone) return undefined;
    this.#left.delete(deviceId);
    return this.#added(deviceId, phone);
  }

  #added(deviceId: string, phone: FreeswitchPhone): FreeswitchPhone {
    this.#phones.set(deviceId, phone);
    return phone;
  }

  #optionsOf(deviceId: string): PhoneOptions {
    return {
      ...this.#options,
      pool: this.#pool,
      onChanged: () => this.#options.onChanged(deviceId),
      onClosed: (phone) => {
        if (this.#phones.get(deviceId) === phone) this.#phones.delete(deviceId);
      },
    };
  }

  /** @throws PatchbayError OVERLOADED when its FreeSWITCH is not configured any more */
  #wayBefore(deviceId: string): WayBefore | undefined {
    const record = this.#left.get(deviceId);
    if (!record?.freeswitch) return undefined;
    const { freeswitch } = record;
    const server = this.#pool.find(freeswitch.server);
    if (!server) throw noServer();
    const legs = freeswitch.legs && this.#options.carriedLegs.restore(freeswitch.legs, server);
    return { record: { ...record, freeswitch }, server, legs };
  }
}

/** Several FreeSWITCHes. Each can take any call. */
export class FreeswitchPool {
  readonly #servers: readonly FreeswitchServer[];

  constructor(servers: readonly FreeswitchServer[]) {
    this.#servers = servers;
  }

  /** Resolves when a connection to each was tried once. */
  async start(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.start()));
  }

  stop(): void {
    for (const server of this.#servers) server.stop();
  }

  /** The one of this address. */
  find(address: string): FreeswitchServer | undefined {
    return this.#servers.find((server) => server.address === address);
  }

  /** The servers that can take a call, the least loaded first. */
  candidates(except?: FreeswitchServer): FreeswitchServer[] {
    return this.#servers
      .filter((server) => server !== except)
      .map((server) => ({ server, ...server.status() }))
      .filter(({ available }) => available)
      .sort((a, b) => a.load - b.load)
      .map(({ server }) => server);
  }
}
