import type { IncomingMessage } from 'node:http';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Participant, PatchbayError } from '../../core/index.js';
import type { CarriedDevice, ProgramRate } from '../../media/index.js';
import { KeyedBuckets } from '../../shared/index.js';
import { SocketGate, type SocketGateOptions } from '../socket-gate.js';
import { refuseUpgrade, type UpgradeRequest, type Upgrades } from '../upgrades.js';
import { DIALECTS, type ProgramFormat } from './dialects/index.js';
import type { ProgramDevice } from './program-device.js';
import { readProgramNote } from './program-identity.js';
import type { ProgramTotals } from './program-socket.js';
import type { Programs } from './programs.js';

const MAX_URL_LENGTH = 8192;
const PROGRAM_PATH = /(?:^|\/)program\/?$/i;
const UNIQUE_ID = /^[\w.:@+-]{1,128}$/;
const MAX_ALIAS_LENGTH = 256;
const { rates: RATES, defaultRate: DEFAULT_RATE } = DIALECTS.patchbay;

interface ProgramServerOptions extends SocketGateOptions {
  /** Upgrade requests for `/program/`, behind any prefix, are served. */
  readonly upgrades: Upgrades;
  readonly programs: Programs;
}

/** Counts for monitoring. */
export interface ProgramCounters extends Readonly<ProgramTotals> {
  /** Sockets that programs opened. */
  readonly sockets: number;
  readonly devices: number;
  /** Upgrades refused because of the limits of an address or of the gateway. */
  readonly refusedUpgrades: number;
  /** Upgrades refused because of their token or another parameter, or because the account has too many devices. */
  readonly refusedPrograms: number;
}

/** Serves programs that connect by themselves, in our own dialect: docs/programs.md. */
export class ProgramServer {
  readonly #programs: Programs;
  readonly #sockets: WebSocketServer;
  readonly #gate: SocketGate;
  readonly #newDevices: KeyedBuckets;
  readonly #stopServing: () => void;
  #refusedPrograms = 0;

  constructor(options: ProgramServerOptions) {
    this.#programs = options.programs;
    const { limits, clock } = options.programs.parts;
    this.#gate = new SocketGate(limits, clock, options);
    this.#newDevices = new KeyedBuckets(limits.devices);
    // No compression: it costs memory for each socket, and a small message could inflate to a huge one.
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      // What is too long is refused in words; what is far too long is not even read.
      maxPayload: 4 * limits.messageBytes,
      ...{ closeTimeout: limits.closeMs },
    });
    this.#stopServing = options.upgrades.serve((upgrade) => this.#onUpgrade(upgrade));
  }

  /** Goes on with the programs whose media an earlier gateway left; they have time to come back. */
  async restore(carried: readonly CarriedDevice[]): Promise<void> {
    for (const device of carried) {
      const note = device.kind === 'program' ? readProgramNote(device.note) : undefined;
      if (note?.direction === 'inbound') await this.#programs.goOn({ device, note });
    }
  }

  counters(): ProgramCounters {
    return {
      ...this.#programs.parts.totals,
      sockets: this.#gate.sockets,
      devices: this.#programs.size,
      refusedUpgrades: this.#gate.refused,
      refusedPrograms: this.#refusedPrograms,
    };
  }

  /** Takes no more sockets, and ends all programs with a code after which they may come back. */
  stop(): Promise<void> {
    this.#stopServing();
    this.#programs.stop();
    this.#sockets.close();
    return Promise.resolve();
  }

  #onUpgrade(upgrade: UpgradeRequest): boolean {
    const asked = parseProgramRequest(upgrade.request);
    if (!asked) return false;
    this.#enter(asked, upgrade).catch((error: unknown) => {
      this.#programs.parts.log.error({ err: error }, 'A program could not be let in.');
      upgrade.stream.destroy();
    });
    return true;
  }

  async #enter(asked: ProgramRequest, { request, stream, head }: UpgradeRequest): Promise<void> {
    const isHere = async (): Promise<boolean> =>
      this.#deviceFor(asked, await this.#participantOf(asked)) !== undefined;
    const address = await this.#gate.enter(request, stream, isHere);
    if (address === undefined) return;
    try {
      const participant = await this.#authenticate(asked);
      const format = formatOf(asked);
      if (!this.#deviceFor(asked, participant)) await this.#admit(participant);
      this.#sockets.handleUpgrade(request, stream, head, (socket) => {
        const present = this.#deviceFor(asked, participant);
        if (present) this.#programs.attach(present, socket);
        else this.#connect(socket, { ...asked, ...format, participant, address });
      });
    } catch (error) {
      if (!(error instanceof PatchbayError)) throw error;
      const { httpStatus, message } = error;
      refuseUpgrade(stream, `${String(httpStatus)} ${REASONS.get(httpStatus) ?? 'Refused'}`, {
        message,
        headers: httpStatus === 429 || httpStatus === 503 ? 'Retry-After: 1\r\n' : '',
      });
      this.#refusedPrograms += 1;
      const { id: participantId, accountId: account } = (await this.#participantOf(asked)) ?? {};
      this.#programs.parts.log.info(
        { code: error.code, address, participantId, account },
        'A program was refused.',
      );
    }
  }

  /** A program may come back to its device with a token that has expired meanwhile. */
  async #authenticate(asked: ProgramRequest): Promise<Participant> {
    const { gate } = this.#programs.parts;
    const known = await this.#participantOf(asked);
    return gate.authenticate(asked.token, { ignoreExpiry: this.#deviceFor(asked, known) !== undefined });
  }

  /** @throws PatchbayError TOO_MANY_CALLS, TOO_MANY_REQUESTS */
  async #admit(participant: Participant): Promise<void> {
    const { gate, clock } = this.#programs.parts;
    await gate.admitDevice(participant);
    if (this.#newDevices.take(participant.id, clock.monotonic())) return;
    throw new PatchbayError(
      'PATCHBAY_TOO_MANY_REQUESTS',
      'Too many new devices of this participant: try again later.',
    );
  }

  /**
   * The device to which a program comes back: with its own id at any time, without one after it lost its socket. With
   * another rate it is another device.
   */
  #deviceFor(asked: ProgramRequest, participant: Participant | undefined): ProgramDevice | undefined {
    const device = participant && this.#programs.of(participant.id);
    if (!device) return undefined;
    const { direction, uniqueId, rate, channels, alias } = device.identity;
    if (direction !== 'inbound' || uniqueId !== asked.uniqueId || alias !== asked.alias) return undefined;
    if (String(rate) !== asked.rate || channels !== asked.channels) return undefined;
    return uniqueId !== undefined || device.isAway ? device : undefined;
  }

  /** The participant of a token, even if that has expired. */
  async #participantOf({ token }: ProgramRequest): Promise<Participant | undefined> {
    try {
      return await this.#programs.parts.gate.authenticate(token, { ignoreExpiry: true });
    } catch (error) {
      if (error instanceof PatchbayError) return undefined;
      throw error;
    }
  }

  #connect(
    socket: WebSocket,
    asked: ProgramFormat & {
      readonly participant: Participant;
      readonly uniqueId: string | undefined;
      readonly alias: string | undefined;
      readonly address: string;
    },
  ): void {
    const { address, ...identity } = asked;
    const device = this.#programs.connect(
      {
        ...identity,
        dialect: DIALECTS.patchbay,
        direction: 'inbound',
        // Where a proxy has TLS, the gateway does not see it.
        encryption: 'none',
      },
      { refused: () => (this.#refusedPrograms += 1), ended: () => undefined },
    );
    device.log.info({ address, rate: asked.rate, channels: asked.channels }, 'A program connected.');
    this.#programs.attach(device, socket);
  }
}

const REASONS = new Map([
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [404, 'Not Found'],
  [429, 'Too Many Requests'],
  [503, 'Service Unavailable'],
]);

/** What the URL of a program's WebSocket says. */
interface ProgramRequest {
  readonly token: string;
  /** As they were given, or the defaults. */
  readonly rate: string;
  readonly channels: string;
  readonly uniqueId: string | undefined;
  readonly alias: string | undefined;
}

/**
 * Reads an upgrade for `/program/`, behind any path prefix. The token may also come as a bearer token (RFC 6750 section
 * 2.1), which no log of a proxy has.
 * @returns undefined when the path is another one
 */
export function parseProgramRequest({
  url = '/',
  headers,
}: Pick<IncomingMessage, 'url' | 'headers'>): ProgramRequest | undefined {
  if (url.length > MAX_URL_LENGTH) return undefined;
  const queryAt = url.indexOf('?');
  if (!PROGRAM_PATH.test(queryAt < 0 ? url : url.slice(0, queryAt))) return undefined;
  const query = new URLSearchParams(queryAt < 0 ? '' : url.slice(queryAt + 1));
  const bearer = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
  return {
    token: query.get('token') ?? bearer ?? '',
    rate: query.get('rate') ?? String(DEFAULT_RATE),
    channels: query.get('channels') ?? 'mix',
    uniqueId: query.get('uniqueId') ?? undefined,
    alias: query.get('alias') ?? undefined,
  };
}

/** @throws PatchbayError BAD_REQUEST that names the parameter */
function formatOf({ rate: text, channels, uniqueId, alias }: ProgramRequest): ProgramFormat {
  const bad = (message: string): PatchbayError => new PatchbayError('PATCHBAY_BAD_REQUEST', message);
  const rate = RATES.find((known): known is ProgramRate => String(known) === text);
  if (rate === undefined) throw bad(`rate must be one of ${RATES.join(', ')}.`);
  if (channels !== 'mix' && channels !== 'streams') throw bad('channels must be mix or streams.');
  if (uniqueId !== undefined && !UNIQUE_ID.test(uniqueId))
    throw bad('uniqueId must be 1 to 128 letters, digits and any of . : @ + - _');
  if (alias !== undefined && (alias === '' || alias.length > MAX_ALIAS_LENGTH))
    throw bad(`alias must be 1 to ${String(MAX_ALIAS_LENGTH)} characters.`);
  return { rate, channels };
}
