import { Agent, request } from 'undici';
import { basicAuthorization, withoutCredentials } from '../../shared/index.js';
import { type Resolve, TargetGuard, type TargetRules } from './target-guard.js';
import type { Webhook } from './webhook.js';

/** Bytes of a response's body that are read; a connection can be reused only once the body is read. */
const MAX_ANSWER_BYTES = 16_384;

interface SenderOptions {
  readonly targets: TargetRules;
  /** For one attempt, from looking up the name to the end of the answer. */
  readonly timeoutMs: number;
  readonly resolve?: Resolve;
}

/** The application answered with a status other than 2xx. */
export class WebhookRefusedError extends Error {
  override readonly name = 'WebhookRefusedError';
  readonly status: number;

  constructor(status: number) {
    super(`The application answered ${status}.`);
    this.status = status;
  }
}

/** The application's server did not answer in time. */
export class WebhookTimeoutError extends Error {
  override readonly name = 'WebhookTimeoutError';
}

const TIMEOUTS = ['TimeoutError', 'ConnectTimeoutError', 'HeadersTimeoutError', 'BodyTimeoutError'];

/** Posts webhooks, one attempt at a time. Redirects are not followed. */
export class WebhookSender {
  readonly #guard: TargetGuard;
  readonly #agent: Agent;
  readonly #timeoutMs: number;

  constructor({ targets, timeoutMs, resolve }: SenderOptions) {
    this.#guard = new TargetGuard(targets);
    this.#timeoutMs = timeoutMs;
    this.#agent = new Agent({ connect: { lookup: this.#guard.lookup(resolve), timeout: timeoutMs } });
  }

  /** A text that says why webhooks to a URL would not be sent; undefined if, as far as is known now, they would. */
  async refusal(url: string): Promise<string | undefined> {
    return this.#guard.refusal(new URL(url));
  }

  /** @throws TargetDeniedError, WebhookRefusedError, WebhookTimeoutError, or an error of the network */
  async send(webhook: Webhook): Promise<void> {
    try {
      await this.#post(webhook);
    } catch (error) {
      const late = error instanceof Error && (TIMEOUTS.includes(error.name) || isTimedOut(error));
      throw late ? new WebhookTimeoutError(error.message, { cause: error }) : error;
    }
  }

  async #post({ id, eventId = id, url, body }: Webhook): Promise<void> {
    const target = new URL(url);
    this.#guard.checkLiteral(target);
    const answer = await request(withoutCredentials(target), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'patchbay',
        'x-patchbay-event-id': eventId,
        ...basicAuthorization(target),
      },
      body: JSON.stringify(body),
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    await answer.body.dump({ limit: MAX_ANSWER_BYTES });
    if (answer.statusCode < 200 || answer.statusCode > 299) throw new WebhookRefusedError(answer.statusCode);
  }

  /** Aborts attempts under way. */
  stop(): Promise<void> {
    return this.#agent.destroy();
  }
}

function isTimedOut(error: Error): boolean {
  // The codes of connections and of name servers.
  return 'code' in error && (error.code === 'ETIMEDOUT' || error.code === 'ETIMEOUT');
}
