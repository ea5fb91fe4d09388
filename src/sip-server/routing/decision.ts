import { Agent, request } from 'undici';
import { parseNameAddr, parseSipUri } from '../message/uri.js';
import { type ProxyOptions, readDuration } from '../apps/wire.js';
import type { Endpoint } from '../transport/flow.js';
import { type Log, sipTokenMask } from '../../shared/index.js';

/** Phones retransmit an INVITE after half a second and give up after 32 s: do not let a caller wait long. */
const ANSWER_MS = 2000;

const MAX_ANSWER_BYTES = 65_536;

const MAX_CONNECTIONS = 16;

/** Most requests that may wait for a decision at once. */
const MAX_WAITING = 256;

const mask = sipTokenMask([]);

/** A request that starts something new, as the router sees it. */
export interface NewRequest {
  readonly method: string;
  readonly uri: string;
  readonly protocol: string;
  readonly source: Endpoint;
  /** User parts of From and To; empty when there is none. */
  readonly fromUser: string;
  readonly toUser: string;
  /** The first value of a header, by its full name. Case does not matter. */
  header(name: string): string | undefined;
}

/** What to do with a new request. */
export type RoutingDecision =
  /** Give it to the next application that asked for its method; with a tag, to the next one with this tag. */
  | { readonly action: 'route'; readonly tag?: string | undefined }
  | { readonly action: 'reject'; readonly status: number; readonly reason?: string | undefined }
  | { readonly action: 'redirect'; readonly contacts: readonly string[] }
  | { readonly action: 'proxy'; readonly options: ProxyOptions };

/** Decides what happens to new requests. If the promise is rejected, the request gets 503. */
export type RequestRouter = (request: NewRequest) => RoutingDecision | Promise<RoutingDecision>;

const DEFAULT_PROVISIONAL = '5s';
const DEFAULT_FINAL = '60s';

/**
 * Reads a decision in the format of drachtio-server's request handlers: `{"action": ..., "data": {...}}`.
 * @throws Error whose message says what is wrong with it
 */
export function readDecision(json: unknown): RoutingDecision {
  const { action, data } = fieldsOf(json, 'the decision');
  const fields = fieldsOf(data, 'data');
  switch (action) {
    case 'route':
      return { action, tag: textOf(fields['tag'], 'tag') };
    case 'reject':
      return readReject(fields);
    case 'redirect':
      return { action, contacts: addressesOf(fields['contact'] ?? fields['contacts'], 'contact', isAddress) };
    case 'proxy':
      return { action, options: readProxy(fields) };
    default:
      throw new Error(`unknown action: ${JSON.stringify(action)}`);
  }
}

function readReject({ status, reason }: Record<string, unknown>): RoutingDecision {
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 300 || status > 699) {
    throw new Error('status must be an integer from 300 to 699');
  }
  return { action: 'reject', status, reason: reason === undefined ? undefined : textOf(reason, 'reason') };
}

function readProxy(fields: Record<string, unknown>): ProxyOptions {
  const {
    recordRoute = false,
    followRedirects = true,
    simultaneous = false,
    provisionalTimeout = DEFAULT_PROVISIONAL,
    finalTimeout = DEFAULT_FINAL,
  } = fields;
  return {
    recordRoute: recordRoute === true,
    followRedirects: followRedirects === true,
    simultaneous: simultaneous === true,
    fullResponse: false,
    provisionalMs: readDuration(textOf(provisionalTimeout, 'provisionalTimeout')),
    finalMs: readDuration(textOf(finalTimeout, 'finalTimeout')),
    targets: addressesOf(fields['destination'], 'destination', (uri) => parseSipUri(uri) !== undefined),
  };
}

const isAddress = (text: string): boolean => parseNameAddr(text) !== undefined;

/** One or several addresses. */
function addressesOf(value: unknown, name: string, isValid: (text: string) => boolean): string[] {
  const given: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = given.map((each) => textOf(each, name));
  if (texts.length === 0 || !texts.every(isValid)) throw new Error(`${name} is not an address`);
  return texts;
}

/** Printable text that may be put into a SIP message. */
function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string' || !/^[ -~]{1,1000}$/.test(value))
    throw new Error(`${name} is not printable text`);
  return value;
}

function fieldsOf(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new Error(`${name} is not an object`);
  return { ...value };
}

export interface HttpRouterOptions {
  /** Queried with GET. A query in the URL is kept. */
  readonly url: string;
  readonly log: Log;
  /** How long it may take to answer, in ms. Default 2 s. */
  readonly answerMs?: number;
  readonly maxWaiting?: number;
}

/** A request router with a `close()`. */
export interface HttpRouter {
  readonly decide: RequestRouter;
  /** Closes the connections. Open queries fail. */
  close(): Promise<void>;
}

/**
 * A router that asks an HTTP server, as drachtio-server's request handlers do: the same query parameters (participant
 * tokens masked) and the same answers. The promise is rejected when the server does not answer properly in time, or
 * when too many queries are open.
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
      log.warn(
        { url, callId: newRequest.header('Call-ID'), error: String(error) },
        'the SIP router made no decision',
      );
      throw error;
    } finally {
      waiting--;
    }
  };
  return { decide, close: () => dispatcher.destroy() };
}

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
