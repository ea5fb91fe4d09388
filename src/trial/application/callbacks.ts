import type { Problem } from '../types.js';
import { type ApplicationClient, type Callback, CallbackError } from './application-client.js';
import { BxmlError, readBxml, type Verb } from './bxml.js';
import type { Steps } from './steps.js';
import type { Cause } from './voice-call.js';

/** Requests to the application: a `<Redirect>` to itself must end. */
const MAX_REQUESTS = 50;

/** The call ends: by a verb, or as the application is at fault. */
export class CallEnds extends Error {
  override readonly name = 'CallEnds';
  readonly reason: Cause;
  readonly problem: Problem | undefined;

  constructor(reason: Cause, problem?: Problem) {
    super(problem?.message ?? reason);
    this.reason = reason;
    this.problem = problem;
  }
}

/** Verbs, and the URL that they came from. */
export interface Document {
  readonly verbs: readonly Verb[];
  readonly base: URL | undefined;
}

/** The application is at fault. */
export const fault = (message: string, advice: string): Problem => ({ code: 'application', message, advice });

/** Sends events to an application, each as a step, and reads the BXML that comes back. */
export class Callbacks {
  readonly #client: ApplicationClient;
  readonly #steps: Steps;
  readonly #signal: AbortSignal;
  #requests = 0;

  /** @param signal ends what is under way, with the trial */
  constructor(client: ApplicationClient, steps: Steps, signal: AbortSignal) {
    this.#client = client;
    this.#steps = steps;
    this.#signal = signal;
  }

  /** Where an attribute such as `redirectUrl` says that an event goes; undefined when there is none. */
  named(
    attributes: Verb['attributes'],
    event:
      'redirect' | 'transferComplete' | 'transferCompleteFallback' | 'transferAnswer' | 'transferDisconnect',
    base: URL | undefined,
  ): Callback | undefined {
    const url = attributes[`${event}Url`];
    if (url === undefined || url === '') return undefined;
    const method = attributes[`${event}Method`] === 'GET' ? 'GET' : 'POST';
    const [username, password] = event.endsWith('Fallback')
      ? [attributes['fallbackUsername'], attributes['fallbackPassword']]
      : [attributes['username'], attributes['password']];
    return { url: this.resolve(url, base), method, username, password };
  }

  /** @throws CallEnds */
  resolve(url: string, base: URL | undefined): URL {
    const resolved = URL.canParse(url, base?.href) ? new URL(url, base) : undefined;
    if (resolved && ['http:', 'https:'].includes(resolved.protocol)) return resolved;
    const hint = base ? '' : ' Pasted BXML needs whole URLs, as there is nothing to resolve others against.';
    throw new CallEnds(
      'error',
      fault(`${url} is no http or https URL.${hint}`, 'Correct the URL in the BXML.'),
    );
  }

  /** Sends an event, and reads the BXML that comes. @throws CallEnds */
  async ask(callback: Callback, event: object, fallback?: Callback): Promise<Document> {
    try {
      const { status, text } = await this.send(callback, event);
      if (status < 200 || status > 299) throw new CallbackError(`The application answered ${status}.`);
      if (status === 204 || text.trim() === '') return { verbs: [], base: callback.url };
      return await this.document(text, callback.url);
    } catch (error) {
      if (!(error instanceof CallbackError)) throw error;
      if (fallback) return this.ask(fallback, event);
      const advice = 'Check the URL, and what the application logs; the step shows what was sent to it.';
      throw new CallEnds('callback-error', fault(error.message, advice));
    }
  }

  /** Sends an event whose response does not matter. */
  async tell(callback: Callback, event: object): Promise<void> {
    try {
      await this.send(callback, event);
    } catch (error) {
      if (!(error instanceof CallbackError) && !(error instanceof CallEnds)) throw error;
    }
  }

  /** @throws CallbackError, CallEnds by rejection */
  async send(
    callback: Callback,
    event: object,
    signal = this.#signal,
  ): Promise<{ status: number; text: string }> {
    this.#requests += 1;
    if (this.#requests > MAX_REQUESTS) {
      const advice = 'Does a <Redirect> lead back to itself?';
      throw new CallEnds(
        'error',
        fault(`The trial made ${MAX_REQUESTS} requests, which is all that it may.`, advice),
      );
    }
    const { eventType } = event as { readonly eventType: string };
    const { method, url } = callback;
    const bare = new URL(url);
    bare.username = bare.password = '';
    const step = { kind: 'request', method, url: bare.href, event: eventType } as const;
    const said = { ...step, request: JSON.stringify(event, undefined, 2) };
    try {
      const answer = await this.#client.send(callback, event, signal);
      const isFault = answer.status >= 300;
      const text = `${eventType} event: the application answered ${answer.status}.`;
      this.#steps.add({
        ...said,
        text,
        status: answer.status,
        response: answer.text,
        ...(isFault && { isFault }),
      });
      return answer;
    } catch (error) {
      if (error instanceof CallbackError) {
        this.#steps.add({ ...said, text: `${eventType} event: ${error.message}`, isFault: true });
      }
      throw error;
    }
  }

  /** @throws CallEnds by rejection, when it is no BXML */
  async document(text: string, base: URL | undefined): Promise<Document> {
    try {
      return { verbs: await readBxml(text), base };
    } catch (error) {
      if (!(error instanceof BxmlError)) throw error;
      throw new CallEnds(
        'invalid-bxml',
        fault(error.message, 'Correct the BXML that the application answers.'),
      );
    }
  }
}
