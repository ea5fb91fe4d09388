import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { type ClientAddress, clientAddresses } from '../shared/index.js';
import { logRequests, type OnAnswered, whenAnswered } from './answered.js';
import { type Audience, readableBy } from './authentication.js';
import { type Readiness, serveHealth } from './health.js';
import type { Api } from './instance.js';
import { answerData, createServer, serveMetrics, type ServerOptions } from './server.js';

interface FrontOptions extends ServerOptions {
  readonly version: string;
  readonly readiness: () => Readiness;
  /** Served at `/metrics`. */
  readonly metrics: Registry;
  readonly metricsFor: Audience;
  readonly clientAddress?: ClientAddress;
  readonly onAnswered?: OnAnswered;
  /** Answers all requests that are not about this process: REST, its documents and the console. */
  readonly passOn: (request: IncomingMessage, response: ServerResponse) => void;
  readonly log: Logger;
}

/**
 * Makes the HTTP server of a gateway. It tells itself how the process is; what else is asked it passes on to REST, which
 * may be at another gateway. It does not listen yet.
 */
export function createFront(options: FrontOptions): FastifyInstance {
  const log = options.log.child({ part: 'api' });
  const { clientAddress = clientAddresses([]), onAnswered = () => undefined, passOn } = options;
  const front = createServer(log, options);
  const passedOn = new Set<ServerResponse>();
  front.addHook('onRequest', (request, reply, next) => {
    if (!request.is404) {
      next();
      return;
    }
    reply.hijack();
    const { raw } = reply;
    passedOn.add(raw);
    raw.once('close', () => passedOn.delete(raw));
    passOn(request.raw, raw);
  });
  // Else the server would wait for them while it closes.
  front.addHook('preClose', (done) => {
    for (const response of passedOn) if (isEventStream(response)) response.end();
    done();
  });
  front.register((scope: Api, _options, done) => {
    whenAnswered(scope, [logRequests(log, clientAddress), onAnswered]);
    answerData(scope);
    serveHealth(scope, options.readiness, options.version);
    scope.register((inner: Api, _inner, innerDone) => {
      inner.addHook('onRequest', readableBy(options.metricsFor, clientAddress));
      serveMetrics(inner, options.metrics);
      innerDone();
    });
    done();
  });
  return front;
}

const isEventStream = (response: ServerResponse): boolean =>
  response.getHeader('content-type')?.toString().startsWith('text/event-stream') === true;
