import type { EndpointContext } from '../endpoint.js';
import type { PhoneMediaEvent } from '../door.js';
import { MediaError } from '../types.js';
import type { PhoneCrypto } from './phone-crypto.js';
import { type IpVersion, localHost, type PortRange } from './ports.js';
import { RtpSocket, type RtpSocketHandlers } from './rtp-socket.js';
import type { SendConsent } from './send-consent.js';

interface PhonePortsParts {
  readonly context: EndpointContext<PhoneMediaEvent>;
  readonly range: PortRange;
  readonly crypto: PhoneCrypto;
  readonly consent: SendConsent;
  readonly handlers: RtpSocketHandlers;
}

/** The ports in use, and the address that phones know them by. */
export interface BoundPorts {
  readonly socket: RtpSocket;
  readonly version: IpVersion;
  readonly announced: string;
}

/** The ports of one phone: bound for its first description, and replaced when its address family changes. */
export class PhonePorts {
  readonly #parts: PhonePortsParts;
  #bound: BoundPorts | undefined;
  /** Strangers' datagrams to ports that are closed. */
  #pastStrangers = 0;
  #closed = false;

  constructor(parts: PhonePortsParts) {
    this.#parts = parts;
  }

  get bound(): BoundPorts | undefined {
    return this.#bound;
  }

  /** Datagrams from sources that were not believed, or too large. */
  get strangers(): number {
    return this.#pastStrangers + (this.#bound?.socket.strangers ?? 0);
  }

  /**
   * Binds ports of an address family, unless they are bound already.
   * @param port the one that the phone had in another process
   * @throws MediaError NO_COMMON_CODEC, NO_PORT, INVALID_STATE (closed meanwhile)
   */
  async bind(version: IpVersion, port?: number): Promise<BoundPorts> {
    if (this.#bound?.version === version) return this.#bound;
    const { context, range, handlers, consent } = this.#parts;
    const local = localHost(context.options, version);
    if (!local)
      throw new MediaError('NO_COMMON_CODEC', `The gateway has no IPv${version} address for media.`);
    const ports = await (port === undefined ? range.bind(local.host) : range.bindAgain(local.host, port));
    await this.#unbind();
    const bound = { socket: new RtpSocket(ports, handlers, consent), version, announced: local.announced };
    this.#bound = bound;
    if (!this.#closed) return bound;
    await this.#unbind();
    throw new MediaError('INVALID_STATE', 'The phone was closed while its ports were being bound.');
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#unbind();
  }

  async #unbind(): Promise<void> {
    const bound = this.#bound;
    if (!bound) return;
    this.#bound = undefined;
    const { port, strangers, sendErrors } = bound.socket;
    this.#pastStrangers += strangers;
    const { context, range, crypto } = this.#parts;
    context.log.debug({ port, strangers, sendErrors, ...crypto.counters }, 'phone ports closed');
    await bound.socket.close();
    range.release(port);
  }
}
