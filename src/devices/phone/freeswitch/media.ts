import type {
  MediaListener,
  PhoneDoor,
  PhoneHandle,
  PhoneMediaEvent,
  PhoneSpec,
} from '../../../media/index.js';
import { type FreeswitchOptions, FreeswitchPhone } from './phone.js';
import type { FreeswitchServer } from './server.js';

/**
 * Media of phones by way of FreeSWITCH. To those who drive it, it is the phones' part of the media plane; a phone
 * that is served without FreeSWITCH is simply passed through.
 */
export class FreeswitchMedia implements PhoneDoor {
  readonly #options: FreeswitchOptions;
  readonly #pool: FreeswitchPool;
  readonly #phones = new Set<FreeswitchPhone>();

  constructor(pool: FreeswitchPool, options: FreeswitchOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  /** How many calls are on that server now. */
  callsOn(server: FreeswitchServer): number {
    return [...this.#phones].filter((phone) => phone.isOn(server)).length;
  }

  /** What the handle rejects with besides: PatchbayError OVERLOADED, NO_COMMON_CODEC. */
  open(spec: PhoneSpec, listener: MediaListener<PhoneMediaEvent>): PhoneHandle {
    const onClosed = (phone: FreeswitchPhone): void => void this.#phones.delete(phone);
    const phone = new FreeswitchPhone(spec, listener, { ...this.#options, pool: this.#pool, onClosed });
    this.#phones.add(phone);
    return phone;
  }

  /** All calls of a FreeSWITCH that is gone: on to another, or ended. */
  lost(server: FreeswitchServer): void {
    for (const phone of this.#phones) if (phone.isOn(server)) phone.orphaned();
  }
}

/** Several FreeSWITCHes, of which any can take any call. */
export class FreeswitchPool {
  readonly #servers: readonly FreeswitchServer[];

  constructor(servers: readonly FreeswitchServer[]) {
    this.#servers = servers;
  }

  /** Resolves when each was tried once. */
  async start(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.start()));
  }

  stop(): void {
    for (const server of this.#servers) server.stop();
  }

  /** Those that can take a call, in the order that new calls should try them: least loaded first. */
  candidates(except?: FreeswitchServer): FreeswitchServer[] {
    return this.#servers
      .filter((server) => server !== except)
      .map((server) => ({ server, ...server.status() }))
      .filter(({ available }) => available)
      .sort((a, b) => a.load - b.load)
      .map(({ server }) => server);
  }
}
