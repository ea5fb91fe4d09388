import type { Duplex } from 'node:stream';
import {
  type ClientAddress,
  clientAddresses,
  type Clock,
  KeyedBuckets,
  networkOf,
  type Rate,
} from '../shared/index.js';
import { refuseUpgrade } from './upgrades.js';

/** How many WebSockets of a kind there may be. */
export interface SocketLimits {
  readonly sockets: number;
  readonly socketsPerAddress: number;
  /** New sockets of one address. */
  readonly connects: Rate;
}

export interface SocketGateOptions {
  /** Finds the client's address, behind proxies too. Default: the address of the socket's peer. */
  readonly clientAddress?: ClientAddress;
  /** Whether the process may open more sockets; if not, upgrades get 503. Default: always. */
  readonly hasRoom?: () => boolean;
  /** Asked with the address of every new device. @returns the seconds of Retry-After when it is refused */
  readonly admit?: (address: string) => number | undefined;
}

/** Admits WebSockets, and refuses those for which an address, the gateway or the process has no room. */
export class SocketGate {
  readonly #options: SocketGateOptions;
  readonly #clientAddress: ClientAddress;
  readonly #clock: Clock;
  readonly #limits: SocketLimits;
  readonly #connects: KeyedBuckets;
  /** Open sockets of each address. */
  readonly #open = new Map<string, number>();
  #sockets = 0;
  #refused = 0;

  constructor(limits: SocketLimits, clock: Clock, options: SocketGateOptions) {
    this.#limits = limits;
    this.#clock = clock;
    this.#options = options;
    this.#clientAddress = options.clientAddress ?? clientAddresses([]);
    this.#connects = new KeyedBuckets(limits.connects);
  }

  /** Open sockets. */
  get sockets(): number {
    return this.#sockets;
  }

  /** Upgrades refused because of the limits of an address or of the gateway. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Counts the socket in until it is closed, or refuses it.
   * @param isHere whether it comes back to a device that is here: that is let in under overload too
   * @returns the client's address; undefined when the request was refused
   */
  async enter(
    request: Parameters<ClientAddress>[0],
    stream: Duplex,
    isHere: () => Promise<boolean>,
  ): Promise<string | undefined> {
    const { hasRoom, admit } = this.#options;
    if (hasRoom?.() === false) {
      this.#refused += 1;
      refuseUpgrade(stream, '503 Service Unavailable');
      return undefined;
    }
    const address = this.#clientAddress(request);
    if (!this.#count(address, stream)) {
      this.#refused += 1;
      refuseUpgrade(stream, '429 Too Many Requests');
      return undefined;
    }
    const retryAfterS = admit && !(await isHere()) ? admit(address) : undefined;
    if (retryAfterS === undefined) return address;
    // Clients retry every second, whatever the status is.
    refuseUpgrade(stream, '503 Service Unavailable', { headers: `Retry-After: ${retryAfterS}\r\n` });
    return undefined;
  }

  /** @returns whether there was room */
  #count(address: string, stream: Duplex): boolean {
    const key = networkOf(address);
    const open = this.#open.get(key) ?? 0;
    if (this.#sockets >= this.#limits.sockets || open >= this.#limits.socketsPerAddress) return false;
    if (!this.#connects.take(key, this.#clock.monotonic())) return false;
    this.#open.set(key, open + 1);
    this.#sockets += 1;
    stream.once('close', () => this.#release(key));
    return true;
  }

  #release(key: string): void {
    const open = (this.#open.get(key) ?? 1) - 1;
    if (open === 0) this.#open.delete(key);
    else this.#open.set(key, open);
    this.#sockets -= 1;
  }
}
