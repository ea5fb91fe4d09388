import type { Clock, Timer } from '../../shared/index.js';
import { type Dial, type Leg, LegError } from '../leg.js';
import type { MeasuredCall } from '../measured-call.js';
import type { RtpPhone } from '../sound/index.js';
import type { Verb } from './bxml.js';
import type { Steps } from './steps.js';
import { type Cause, causeOf, type VoiceCall } from './voice-call.js';

/** Places a SIP call. @throws LegError */
export type DialLeg = (dial: Dial) => Promise<Leg>;

export interface TransferEnd {
  readonly cause: Cause;
  /** The SIP URI. */
  readonly to: string;
}

interface TransferParts {
  readonly dial: DialLeg;
  readonly steps: Steps;
  readonly measured: MeasuredCall;
  readonly clock: Clock;
  /** Called when it is answered, before both sides are connected. */
  readonly connected: (transfer: Transfer) => Promise<void>;
}

/** In seconds, as the Voice API has them. */
const [DEFAULT_TIMEOUT, MIN_TIMEOUT, MAX_TIMEOUT] = [30, 1, 300];

/** The SIP call of one `<SipUri>` in a `<Transfer>`, from its INVITE to its end. */
export class Transfer {
  readonly leg: VoiceCall;
  readonly #verb: Verb;
  readonly #target: Verb;
  readonly #parts: TransferParts;
  #dialled: Leg | undefined;
  #wants: 'go on' | 'hang up' = 'go on';
  #timer: Timer | undefined;
  #cause: Cause | undefined;
  wasAnswered = false;
  /** What went wrong while verbs were executed for the called party. */
  error: Error | undefined;
  #ended: (cause: Cause) => void = () => undefined;
  readonly #end = new Promise<Cause>((resolve) => (this.#ended = resolve));

  constructor(caller: VoiceCall, verb: Verb, target: Verb, parts: TransferParts) {
    this.#verb = verb;
    this.#target = target;
    this.#parts = parts;
    const from = verb.attributes['transferCallerId'] ?? caller.from;
    this.leg = caller.transferred(target.text, from, target.attributes['tag'] ?? '');
  }

  get isOver(): boolean {
    return this.#cause !== undefined;
  }

  /** Its sound. To be asked for once it is answered. */
  get phone(): RtpPhone {
    return this.#dialled!.phone;
  }

  async run(): Promise<TransferEnd> {
    const to = this.#target.text;
    const uui = this.#target.attributes['uui'] ?? '';
    const { steps, measured } = this.#parts;
    const wrong = wrongIn(to, uui);
    if (wrong !== undefined) {
      steps.add({ kind: 'call', text: wrong, isFault: true });
      return { cause: 'rejected', to };
    }
    try {
      this.#dialled = await this.#parts.dial({
        from: this.leg.from,
        displayName: this.#verb.attributes['transferCallerDisplayName'],
        userToUser: uui,
        requestUri: to,
        handlers: {
          onAnswered: (status) => void this.#answered(status),
          onRefused: (answer) => {
            const { status, reason } = answer;
            steps.add({
              kind: 'call',
              text: `The SIP call was not answered: ${status} ${reason}`,
              status,
              isFault: true,
              ...this.#id,
            });
            if (!measured.isOver && this.#wants === 'go on') measured.notAnswered(answer);
            this.#over(this.#cause ?? causeOf(status));
          },
          onHungUp: (reason) => {
            const why = reason === undefined ? '' : `: ${reason}`;
            steps.add({ kind: 'call', text: `The gateway hung up${why}`, ...this.#id });
            this.#over('hangup');
          },
        },
      });
    } catch (error) {
      if (!(error instanceof LegError)) throw error;
      steps.add({ kind: 'call', text: error.problem.message, isFault: true });
      measured.troubled(error.problem);
      return { cause: 'error', to };
    }
    measured.dialled(this.#dialled);
    steps.add({ kind: 'call', text: `Calls ${to} at the gateway’s SIP port.`, ...this.#id });
    const seconds = Number(this.#verb.attributes['callTimeout'] ?? DEFAULT_TIMEOUT) || DEFAULT_TIMEOUT;
    const limit = Math.min(MAX_TIMEOUT, Math.max(MIN_TIMEOUT, seconds));
    this.#timer = this.#parts.clock.setTimeout(() => {
      this.#cause = 'timeout';
      steps.add({
        kind: 'call',
        text: `Nobody answered within callTimeout (${limit} s).`,
        isFault: true,
        ...this.#id,
      });
      void this.#dialled!.hangUp().then(() => this.#over('timeout'));
    }, limit * 1_000);
    if (this.#isUnwanted) void this.hangUp();
    return { cause: await this.#end, to };
  }

  /** Hangs up, or gives the call up. */
  async hangUp(): Promise<void> {
    this.#wants = 'hang up';
    if (this.isOver || !this.#dialled) return;
    await this.#dialled.hangUp();
    this.#parts.steps.add({ kind: 'call', text: 'The test caller hung up.', ...this.#id });
    this.#over(this.wasAnswered ? 'hangup' : 'cancel');
  }

  get #id(): { readonly deviceId?: string } {
    return this.#dialled ? { deviceId: this.#dialled.callId } : {};
  }

  get #isUnwanted(): boolean {
    return this.#wants === 'hang up';
  }

  async #answered(status: number): Promise<void> {
    const { steps, measured, connected } = this.#parts;
    this.#timer?.cancel();
    this.wasAnswered = true;
    measured.answered(status);
    steps.add({ kind: 'call', text: `The gateway answered: ${status}.`, status, ...this.#id });
    const { player } = this.phone;
    player.sings = false;
    try {
      await connected(this);
      if (this.isOver) return;
      player.sings = true;
      steps.add({
        kind: 'call',
        text: 'Caller and called party are connected: the caller sings.',
        ...this.#id,
      });
    } catch (error) {
      this.error = error instanceof Error ? error : new Error(String(error));
      await this.hangUp();
    }
  }

  #over(cause: Cause): void {
    this.#timer?.cancel();
    this.#cause ??= cause;
    this.#parts.measured.legOver();
    this.#ended(this.#cause);
  }
}

/** What is wrong with a target, in words. Both go into the head of a SIP message. */
function wrongIn(uri: string, uui: string): string | undefined {
  if (!/^sips?:[^\s<>"\p{Cc}]{1,2000}$/iu.test(uri)) return `“${uri}” is no SIP URI.`;
  if (uui === '') return undefined;
  if (/\p{Cc}/u.test(uui) || uui.length > 4096)
    return 'The attribute uui has control characters, or is too long.';
  return undefined;
}
