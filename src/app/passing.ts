import { Agent, type IncomingMessage, request as requestOf, type ServerResponse } from 'node:http';
import { timingSafeEqual } from 'node:crypto';
import { PatchbayError } from '../core/index.js';
import type { AddressedRequest, ClientAddress, Log } from '../shared/index.js';

/** Requests that may be on their way to the leader at once. */
const MAX_PASSED = 1_000;
/** Says that a request comes from another gateway of the database. */
const SECRET_HEADER = 'x-patchbay-secret';
/** What that gateway knows of the client. */
const CLIENT_HEADER = 'x-patchbay-client';
const SECURE_HEADER = 'x-patchbay-secure';
/** They concern one connection only (RFC 9110 section 7.6.1), or are answered by this server. */
const OF_CONNECTION = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'expect'];

/** What is known of a request's client. */
interface ClientFacts {
  readonly clientAddress: ClientAddress;
  /** Whether it came by TLS. */
  readonly isSecure: (request: AddressedRequest) => boolean;
}

interface PassingOptions extends ClientFacts {
  readonly secret: string;
  /** `host:port` of the leader's private server; undefined: it cannot be reached at present. */
  readonly leader: () => string | undefined;
  readonly log: Log;
}

/** Passes HTTP requests on to the leader, for a gateway that is not the leader itself. */
export class Passing {
  readonly #options: PassingOptions;
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 32 });
  /** What is done with each request that is under way when the leader is gone. */
  readonly #underWay = new Set<() => void>();

  constructor(options: PassingOptions) {
    this.#options = options;
  }

  passOn(request: IncomingMessage, response: ServerResponse): void {
    const leader = this.#options.leader();
    if (!leader || this.#underWay.size >= MAX_PASSED) {
      answerNoLeader(
        response,
        'This gateway has no connection to the leader at present: try again in a moment.',
      );
      return;
    }
    const upstream = requestOf(`http://${leader}`, {
      agent: this.#agent,
      method: request.method,
      path: request.url,
      headers: this.#headersOf(request),
      setHost: false,
    });
    let answered: IncomingMessage | undefined;
    const fail = (): void => {
      this.#underWay.delete(fail);
      upstream.destroy();
      if (response.headersSent) response.destroy();
      else
        answerNoLeader(
          response,
          'The leader is gone. Whether it has done this is not known: look, or try again.',
        );
    };
    this.#underWay.add(fail);
    upstream.on('error', (error) => {
      if (!this.#underWay.has(fail)) return;
      this.#options.log.warn(
        { err: error, path: pathOf(request) },
        'A request could not be passed on to the leader.',
      );
      fail();
    });
    upstream.on('response', (answer) => {
      answered = answer;
      const { 'content-type': type } = answer.headers;
      // The server looks at it when it closes; of raw headers alone it would know nothing.
      if (type !== undefined) response.setHeader('content-type', type);
      response.writeHead(
        answer.statusCode ?? 502,
        answer.statusMessage,
        withoutConnection(answer.rawHeaders),
      );
      // An event stream's reader wants to know at once that it is open.
      response.flushHeaders();
      answer.on('error', fail);
      answer.pipe(response);
    });
    const over = (): void => {
      this.#underWay.delete(fail);
      // The client has gone, or the answer was ended here. If it has all of it, the connection is used again.
      if (answered?.complete !== true) upstream.destroy();
    };
    response.on('finish', over);
    response.on('close', over);
    // What still came was too late.
    response.on('error', over);
    request.pipe(upstream);
  }

  /** The leader cannot be reached any more: what waits for it is answered. */
  leaderLost(): void {
    for (const fail of [...this.#underWay]) fail();
  }

  stop(): void {
    this.leaderLost();
    this.#agent.destroy();
  }

  #headersOf(request: IncomingMessage): string[] {
    const { secret, clientAddress, isSecure } = this.#options;
    return [
      ...withoutConnection(request.rawHeaders).filter((_, at, all) => !isOurs(all[at - (at % 2)]!)),
      ...[SECRET_HEADER, secret],
      ...[CLIENT_HEADER, clientAddress(request)],
      ...[SECURE_HEADER, isSecure(request) ? 'yes' : 'no'],
    ];
  }
}

/** Whether a request comes from another gateway: it knows the secret. */
export function isPassedOn({ headers }: Pick<IncomingMessage, 'headers'>, secret: string): boolean {
  const [given, known] = [Buffer.from(headers[SECRET_HEADER]?.toString() ?? ''), Buffer.from(secret)];
  return given.length === known.length && timingSafeEqual(given, known);
}

/** A client may not say what only gateways say. */
export function forgetPassing({ headers }: Pick<IncomingMessage, 'headers'>): void {
  for (const name of [SECRET_HEADER, CLIENT_HEADER, SECURE_HEADER]) headers[name] = undefined;
}

/** What is known of clients, also of those whose requests another gateway has passed on ({@link forgetPassing} the others). */
export function factsOfPassed({ clientAddress, isSecure }: ClientFacts): ClientFacts {
  return {
    clientAddress: (request) => request.headers[CLIENT_HEADER]?.toString() ?? clientAddress(request),
    isSecure: (request) => {
      const said = request.headers[SECURE_HEADER];
      return said === undefined ? isSecure(request) : said === 'yes';
    },
  };
}

/** Answers as REST does while there is no leader. */
export function answerNoLeader(response: ServerResponse, why: string): void {
  const { code: reason, message, httpStatus } = new PatchbayError('PATCHBAY_NO_LEADER', why);
  response.writeHead(httpStatus, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'retry-after': '1',
  });
  response.end(JSON.stringify({ error: message, message, code: httpStatus, reason }));
}

const isOurs = (name: string): boolean =>
  [SECRET_HEADER, CLIENT_HEADER, SECURE_HEADER].includes(name.toLowerCase());

/** Names and values in turn, as Node has them. */
function withoutConnection(raw: readonly string[]): string[] {
  return raw.filter((_, at) => !OF_CONNECTION.includes(raw[at - (at % 2)]!.toLowerCase()));
}

const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?', 1)[0]!;
