import {
  MediaError,
  type MediaListener,
  type PhoneDoor,
  type PhoneHandle,
  type PhoneMediaEvent,
  type PhoneSpec,
} from '../../../media/index.js';
import { type FreeswitchOptions, FreeswitchPhone } from './phone.js';
import type { FreeswitchServer } from './server.js';

/**
 * Media of phones through FreeSWITCH, with the interface of the media plane. A phone that is served without FreeSWITCH goes
 * directly to the media plane.
 */
export class FreeswitchMedia implements PhoneDoor {
  readonly #options: FreeswitchOptions;
  readonly #pool: FreeswitchPool;
  readonly #phones = new Set<FreeswitchPhone>();

  constructor(pool: FreeswitchPool, options: FreeswitchOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /** The number of calls on a server now. */
  callsOn(server: FreeswitchServer): number {
    return [...this.#phones].filter((phone) => phone.isOn(server)).length;
  }

  /** Besides the plane's errors the handle rejects with PatchbayError OVERLOADED, NO_COMMON_CODEC. */
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle {
    // As with adoptPhone: the leg that would have to go on is hung up.
    if (spec.restored)
      throw new MediaError('INVALID_STATE', 'A leg of an earlier gateway cannot be restored.');
    const onClosed = (phone: FreeswitchPhone): void => void this.#phones.delete(phone);
    const phone = new FreeswitchPhone(spec, listener, { ...this.#options, pool: this.#pool, onClosed });
    this.#phones.add(phone);
    return phone;
  }

  /** Legs of an earlier gateway are hung up at the start, so their phones cannot be adopted. */
  adoptPhone(): undefined {
    return undefined;
  }

  /** Moves all calls of a FreeSWITCH that is down to another one, or ends them. */
  lost(server: FreeswitchServer): void {
    for (const phone of this.#phones) if (phone.isOn(server)) phone.orphaned();
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
