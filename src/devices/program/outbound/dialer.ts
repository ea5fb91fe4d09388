import type { LookupFunction } from 'node:net';
import { WebSocket } from 'ws';
import { type DeviceControl, type EndReason, mayResume, type Participant } from '../../../core/index.js';
import { describeError, type Log, type Timer, withFields } from '../../../shared/index.js';
import { DIALECTS } from '../dialects/index.js';
import type { ProgramDevice, ProgramHooks } from '../program-device.js';
import type { CarriedProgram } from '../program-identity.js';
import type { Programs } from '../programs.js';
import { socketUrl, type Target } from './target.js';

/** Keeps the gateway from connecting to addresses that only its own machine should reach. */
export interface Guard {
  /** @throws Error when the host is an address that must not be reached */
  checkLiteral(url: URL): void;
  /** Finds only addresses that may be reached. */
  lookup(): LookupFunction;
  /** Why a URL would not be connected to, for people; undefined if it would. */
  refusal(url: URL): Promise<string | undefined>;
}

export interface DialerParts {
  readonly core: Pick<DeviceControl, 'participantOf' | 'connectedDevice' | 'admitDevice' | 'flush'>;
  readonly programs: Programs;
  readonly guard: Guard;
  /** Whether the process may open more sockets. */
  readonly hasRoom: () => boolean;
  /** Asked before each new device. @returns the seconds to wait when it is refused */
  readonly admit: (host: string) => number | undefined;
  /** From 0 to 1, spreads the attempts of many programs that were lost together. Default: `Math.random`. */
  readonly random?: () => number;
}

/** `waiting`: for the next attempt. */
export type DialerState = 'connecting' | 'connected' | 'waiting';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
/** Pauses are longer or shorter by up to this share. */
const SPREAD = 0.2;
/** After a connection that lasted so long, the pauses begin anew. */
const STEADY_MS = 10_000;
/** For name, connection and upgrade together. */
const HANDSHAKE_MS = 10_000;

/** Connects to one program, again whenever the connection is lost, until it is over. */
export class Dialer {
  readonly target: Target;
  readonly participantId: string;
  /** Why the last attempt failed; undefined while there is a connection. */
  failure: string | undefined;
  readonly #parts: DialerParts;
  readonly #log: Log;
  readonly #over: () => void;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: Timer | undefined;
  #socket: WebSocket | undefined;
  #device: ProgramDevice | undefined;
  #state: DialerState = 'waiting';
  #isStopped = false;
  /** Why the core did not connect the device of the present connection. */
  #refusal: string | undefined;
  readonly #hooks: ProgramHooks = {
    refused: ({ code, message }) => {
      this.#refusal = message;
      if (code === 'PATCHBAY_SHUTTING_DOWN') this.stop();
    },
    ended: (device, reason) => this.#ended(device, reason),
  };

  /** @param over called once, when there is nothing to connect to any more */
  constructor(
    participant: Pick<Participant, 'id' | 'accountId'>,
    target: Target,
    parts: DialerParts,
    over: () => void,
  ) {
    this.participantId = participant.id;
    this.target = target;
    this.#parts = parts;
    this.#over = over;
    const { id: participantId, accountId: account } = participant;
    this.#log = withFields(parts.programs.parts.log, () => ({ account, participantId, host: this.host }));
  }

  get state(): DialerState {
    return this.#state;
  }

  /** Name or address of the program's server, with its port. */
  get host(): string {
    return socketUrl(this.target.url).host;
  }

  start(): void {
    this.#attempt();
  }

  /** @param carried the program's device that an earlier gateway left */
  async startWith(carried: CarriedProgram): Promise<void> {
    this.#device = await this.#parts.programs.goOn(carried, this.#hooks);
    this.#attempt();
  }

  /** Connects no more. @param reason ends the device, if there is one */
  stop(reason?: EndReason): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    if (reason) this.#device?.leave(reason);
    // An attempt is under way: a socket of a device is closed by that.
    if (this.#state === 'connecting') this.#socket?.terminate();
  }

  #attempt(): void {
    const { core, programs, guard, hasRoom, admit } = this.#parts;
    const participant = core.participantOf(this.participantId);
    if (!participant) {
      this.#finish();
      return;
    }
    if (!hasRoom() || (!this.#device && admit(this.host) !== undefined)) {
      this.#retry('The gateway is overloaded.');
      return;
    }
    this.#state = 'connecting';
    const { dialect, headers, url } = this.target;
    try {
      guard.checkLiteral(socketUrl(url));
    } catch (error) {
      this.#retry(describeError(error));
      return;
    }
    const socket = new WebSocket(url, [...DIALECTS[dialect].subprotocols], {
      headers: { 'user-agent': 'patchbay', ...headers },
      lookup: guard.lookup(),
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false,
      maxPayload: 4 * programs.parts.limits.messageBytes,
      ...{ closeTimeout: programs.parts.limits.closeMs },
    });
    this.#socket = socket;
    let failure = 'The connection was closed.';
    socket.on('error', (error) => (failure = error.message));
    socket.once('close', () => {
      if (this.#state === 'connecting') this.#retry(failure);
    });
    socket.once('open', () => this.#opened(socket, participant));
  }

  #opened(socket: WebSocket, participant: Participant): void {
    const { programs } = this.#parts;
    const { clock } = programs.parts;
    this.#state = 'connected';
    this.#refusal = undefined;
    this.#device ??= this.#connect(participant);
    this.failure = undefined;
    const since = clock.monotonic();
    programs.attach(this.#device, socket);
    this.#log.info({ connectionId: this.#device.info.id }, 'Connected to a program.');
    // After the device's own listener: the program may have left for good.
    socket.once('close', (code) => {
      if (clock.monotonic() - since >= STEADY_MS) this.#pauseMs = FIRST_PAUSE_MS;
      if (this.#state === 'connected')
        this.#retry(this.#refusal ?? `The program closed the connection with ${String(code)}.`);
    });
  }

  #connect(participant: Participant): ProgramDevice {
    const { dialect, rate, channels, url } = this.target;
    const identity = {
      participant,
      dialect: DIALECTS[dialect],
      rate,
      channels,
      direction: 'outbound',
      encryption: socketUrl(url).protocol === 'wss:' ? 'TLS' : 'none',
    } as const;
    return this.#parts.programs.connect(identity, this.#hooks);
  }

  #ended(device: ProgramDevice, reason: EndReason): void {
    // It may end while it is made.
    if (this.#device && device !== this.#device) return;
    this.#device = undefined;
    // After `lost` and the like the program may come again, as a new device.
    if (!mayResume(reason)) this.#finish();
  }

  #retry(failure: string): void {
    if (this.#isStopped) return;
    this.#state = 'waiting';
    this.failure = failure;
    const { programs, random = Math.random } = this.#parts;
    const pauseMs = Math.round(this.#pauseMs * (1 - SPREAD + 2 * SPREAD * random()));
    this.#log.info({ failure, pauseMs }, 'A program cannot be connected to; trying again.');
    this.#timer = programs.parts.clock.setTimeout(() => this.#attempt(), pauseMs);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  #finish(): void {
    if (this.#isStopped) return;
    this.stop();
    this.#over();
  }
}
