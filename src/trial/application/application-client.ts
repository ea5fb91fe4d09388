import type { LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import { basicAuthorization, describeError, withoutCredentials } from '../../shared/index.js';
import { MAX_BXML } from './bxml.js';

/** Keeps requests away from addresses that only the gateway's own machine should reach. */
export interface RequestGuard {
  /** @throws Error named TargetDeniedError when the URL's host is an address that must not be called */
  checkLiteral(url: URL): void;
  lookup(): LookupFunction;
}

/** As the Voice API waits for a callback. */
const TIMEOUT_MS = 15_000;

export interface Callback {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** The request could not be made, or was not answered; the message says why, for people. */
export class CallbackError extends Error {
  override readonly name = 'CallbackError';
}

/** Sends a Voice API's events to applications, by the rules for webhooks. */
export class ApplicationClient {
  readonly #guard: RequestGuard;
  readonly #agent: Agent;

  constructor(guard: RequestGuard) {
    this.#guard = guard;
    this.#agent = new Agent({
      connect: { lookup: guard.lookup(), timeout: TIMEOUT_MS },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
  }

  /** Sends an event: as JSON, or with GET as a query. @throws CallbackError */
  async send(
    { url, method, username, password }: Callback,
    event: object,
    signal: AbortSignal,
  ): Promise<Answer> {
    const target = withoutCredentials(url);
    const account = new URL(url);
    if (username !== undefined) account.username = encodeURIComponent(username);
    if (password !== undefined) account.password = encodeURIComponent(password);
    const isGet = method === 'GET';
    if (isGet)
      for (const [name, value] of Object.entries(event)) target.searchParams.set(name, String(value));
    try {
      this.#guard.checkLiteral(target);
      const answer = await request(target, {
        method,
        headers: {
          'user-agent': 'patchbay-voice-api-trial',
          accept: 'application/xml, text/xml;q=0.9, */*;q=0.5',
          ...(!isGet && { 'content-type': 'application/json; charset=utf-8' }),
          ...basicAuthorization(account),
        },
        ...(!isGet && { body: JSON.stringify(event) }),
        dispatcher: this.#agent,
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      const pieces: Buffer[] = [];
      let bytes = 0;
      for await (const piece of answer.body as AsyncIterable<Buffer>) {
        bytes += piece.length;
        if (bytes > MAX_BXML) throw new CallbackError('The response is larger than 64 KB.');
        pieces.push(piece);
      }
      return { status: answer.statusCode, text: Buffer.concat(pieces).toString('utf8') };
    } catch (error) {
      if (signal.aborted || error instanceof CallbackError) throw error;
      throw new CallbackError(inWords(error, target), { cause: error });
    }
  }

  async stop(): Promise<void> {
    await this.#agent.destroy();
  }
}

function inWords(error: unknown, { hostname, host }: URL): string {
  const { cause } = error as { readonly cause?: unknown };
  const name = cause instanceof Error ? cause.name : error instanceof Error ? error.name : '';
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (name === 'TargetDeniedError')
    return `The gateway must not connect to ${hostname} (PATCHBAY_WEBHOOK_ALLOW, PATCHBAY_WEBHOOK_DENY).`;
  if (name === 'TimeoutError' || /Timeout/.test(name)) return `${host} did not answer within 15 s.`;
  if (code === 'ECONNREFUSED') return `Nothing listens at ${host}: is the application running?`;
  if (code === 'ENOTFOUND') return `There is no host ${hostname}.`;
  return `${host} could not be asked: ${describeError(error) || code}.`;
}
