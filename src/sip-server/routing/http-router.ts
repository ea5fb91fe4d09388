import { Agent, request } from 'undici';
import { sipTokenMask } from '../../shared/index.js';
import type { SipLog } from '../log.js';
import { parseSipUri } from '../message/uri.js';
import { type NewRequest, readDecision, type RequestRouter, type RoutingDecision } from './decision.js';

/** Phones repeat an INVITE after half a second, and give up after 32: a caller should not wait long. */
const ANSWER_MS = 2000;
const MAX_ANSWER_BYTES = 65_536;
const MAX_CONNECTIONS = 16;
/** Requests that wait for an answer at once. */
const MAX_WAITING = 256;

export interface HttpRouterOptions {
  /** Asked by GET; a query of its own is kept. */
  readonly url: string;
  readonly log: SipLog;
  /** How long it may take to answer, in ms. Default 2 s. */
  readonly answerMs?: number;
  readonly maxWaiting?: number;
}

/** Somebody who decides what becomes of new requests, and whom to take leave of. */
export interface HttpRouter {
  readonly decide: RequestRouter;
  /** Ends the connections; questions that are open get no answer any more. */
  close(): Promise<void>;
}

/**
 * Asks an HTTP server what becomes of each new request, as the request handlers of drachtio-server do: with the same
 * parameters in the query, participant tokens masked, and the same answers. A server that does not answer well in
 * time, or too many questions at once, reject the promise.
 */
export function httpRouter(options: HttpRouterOptions): HttpRouter {
  const { url, log, answerMs = ANSWER_MS, maxWaiting = MAX_WAITING } = options;
  const dispatcher = new Agent({ connections: MAX_CONNECTIONS, maxResponseSize: MAX_ANSWER_BYTES });
  let waiting = 0;
  const ask = async (question: URL): Promise<RoutingDecision> => {
    const signal = AbortSignal.timeout(answerMs);
    const { statusCode, body } = await request(question, { dispatcher, signal });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`HTTP status ${statusCode}`);
    return readDecision(JSON.parse(text));
  };
  const decide: RequestRouter = async (newRequest) => {
    if (waiting >= maxWaiting) throw new Error('too many requests wait to be routed');
    waiting++;
    try {
      return await ask(questionOf(url, newRequest));
    } catch (error) {
      log.warn({ url, error: String(error) }, 'the router of SIP requests gave no decision');
      throw error;
    } finally {
      waiting--;
    }
  };
  return { decide, close: () => dispatcher.destroy() };
}

const mask = sipTokenMask([]);

function questionOf(url: string, newRequest: NewRequest): URL {
  const { method, uri, protocol, source, fromUser, toUser } = newRequest;
  const parsed = parseSipUri(uri);
  const question = new URL(url);
  const told = {
    method,
    domain: parsed?.host ?? '',
    protocol,
    source_address: source.host,
    fromUser,
    toUser,
    uriUser: parsed?.user ?? '',
    contentType: newRequest.header('Content-Type') ?? '',
    uri,
  };
  for (const [name, value] of Object.entries(told)) question.searchParams.set(name, mask(value));
  return question;
}
