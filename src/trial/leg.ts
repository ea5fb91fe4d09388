import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import type { Clock } from '../shared/index.js';
import type { OwnCalls } from './own-calls.js';
import { unreachable } from './problems.js';
import { addressToward, type FinalAnswer, OutgoingCall, SipSocket, type SipTarget } from './sip/index.js';
import { RtpPhone } from './sound/index.js';
import type { Problem } from './types.js';

/** What is needed to place calls. */
export interface LegOptions {
  readonly ownCalls: OwnCalls;
  /** Where the gateway receives calls now; undefined while its SIP server cannot be reached. */
  readonly sipTarget: () => SipTarget | undefined;
  /** An address from which the gateway's RTP comes, to choose ours by. */
  readonly rtpHost: string;
  /** Names of the codecs that phones may use. */
  readonly codecs: readonly string[];
  readonly version: string;
  readonly clock: Clock;
}

interface LegHandlers {
  onAnswered(status: number): void;
  onRefused(answer: FinalAnswer): void;
  onHungUp(reason: string | undefined): void;
}

export interface Dial {
  readonly from: string;
  readonly displayName?: string | undefined;
  /** Value of the User-to-User header (RFC 7433); empty: none. */
  readonly userToUser: string;
  /** Default: the gateway's SIP address. */
  readonly requestUri?: string | undefined;
  readonly handlers: LegHandlers;
}

/** The call cannot be placed at all. */
export class LegError extends Error {
  override readonly name = 'LegError';
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.message, options);
    this.problem = problem;
  }
}

/** One SIP call of a test call to the gateway's real SIP port, with its RTP. */
export class Leg {
  readonly callId: string;
  readonly phone: RtpPhone;
  readonly #socket: SipSocket;
  readonly #call: OutgoingCall;
  readonly #ownCalls: OwnCalls;
  #isOver = false;

  private constructor(
    { ownCalls, version, clock }: LegOptions,
    { from, displayName, userToUser, requestUri, handlers }: Dial,
    socket: SipSocket,
    phone: RtpPhone,
  ) {
    this.callId = randomUUID();
    this.#socket = socket;
    this.phone = phone;
    this.#ownCalls = ownCalls;
    const { host, port, transport } = socket.target;
    const address = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
    this.#call = new OutgoingCall({
      socket,
      callId: this.callId,
      requestUri: requestUri ?? `sip:${address}${transport === 'udp' ? '' : `;transport=${transport}`}`,
      from,
      displayName,
      userToUser,
      userAgent: `Patchbay-test-caller/${version}`,
      clock,
      handlers: {
        onRinging: () => undefined,
        onAnswered: (status, sdp) => {
          phone.start(sdp);
          handlers.onAnswered(status);
        },
        onRefused: (answer) => {
          this.#free();
          handlers.onRefused(answer);
        },
        onHungUp: (reason) => {
          this.#free();
          handlers.onHungUp(reason);
        },
        describe: () => phone.sdp,
      },
    });
    ownCalls.expect(this.callId);
    ownCalls.addSocket(socket.local);
    this.#call.invite(phone.sdp);
  }

  /** Sends the INVITE. @throws LegError */
  static async dial(options: LegOptions, dial: Dial): Promise<Leg> {
    const target = options.sipTarget();
    if (!target) throw new LegError(unreachable('it is not connected.'));
    const socket = await SipSocket.open(target).catch((error: unknown) => {
      throw new LegError(unreachable(error instanceof Error ? error.message : String(error)), {
        cause: error,
      });
    });
    try {
      const isAny = ['0.0.0.0', '::'].includes(options.rtpHost);
      const host = isAny ? socket.local.host : await addressToward(options.rtpHost);
      return new Leg(options, dial, socket, await RtpPhone.open(host, options.codecs));
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** Hangs up, or gives the call up. Resolves when nothing of it is left. */
  async hangUp(): Promise<void> {
    if (this.#isOver) return;
    this.phone.close();
    this.#call.hangUp();
    await this.#call.ended();
    this.#free();
  }

  #free(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.phone.close();
    this.#ownCalls.forget(this.callId);
    // A response to the other side's last request is still under way.
    setImmediate(() => {
      this.#ownCalls.removeSocket(this.#socket.local);
      this.#socket.close();
    });
  }
}
