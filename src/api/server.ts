import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import fastify, { type RawServerDefault } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { answerClientError, answerError, answerErrors } from './errors.js';
import { type Api, putHeaders } from './instance.js';
import { describeViolation } from './validation.js';

export interface ServerOptions {
  /** Largest body of a request, in bytes. Default: 65,536. */
  readonly bodyLimit?: number;
  /** How long a request may take to arrive, in ms. Default: 30,000. */
  readonly requestTimeoutMs?: number;
  /** How long requests under way may still take once the server closes, in ms. Default: 5,000. */
  readonly closeMs?: number;
}

/** While the server closes: how often to look for connections without a request. */
const CLOSE_STEP_MS = 50;

const defaultFactory = SerializerSelector();

/**
 * Compiles each serializer of responses when the first response needs it: compiling all of them takes longer than the
 * rest of the start, and a gateway that is started again must be back soon.
 */
const lazySerializers: typeof defaultFactory = (schemas, options) => {
  const compile = defaultFactory(schemas, options);
  return (definition) => {
    let serialize: ReturnType<typeof compile> | undefined;
    return (document) => (serialize ??= compile(definition))(document);
  };
};

/** Makes an HTTP server that answers errors as REST does, and that ends when it is closed. It does not listen yet. */
export function createServer(log: Logger, options: ServerOptions): Api {
  const { bodyLimit = 65_536, requestTimeoutMs = 30_000, closeMs = 5_000 } = options;
  const api = fastify<RawServerDefault>({
    bodyLimit,
    genReqId: () => randomUUID(),
    // Requests on open connections are still served while the server closes.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    requestTimeout: requestTimeoutMs,
    // Node checks at this interval, so the 408 comes at most a tenth of the time late. Node applies the longer of
    // requestTimeout and headersTimeout to the whole request, so both get the same value.
    http: { connectionsCheckingInterval: requestTimeoutMs / 10, headersTimeout: requestTimeoutMs },
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 16_384 },
    frameworkErrors: (error, request, reply) => answerError(error, request, reply, log),
    clientErrorHandler: answerClientError,
    schemaErrorFormatter: describeViolation,
    schemaController: { compilersFactory: { buildSerializer: lazySerializers } },
  });
  endConnections(api, closeMs);
  answerErrors(api, log);
  return api;
}

/** Has all answers of a scope carry the headers of data. */
export function answerData(api: Api): void {
  api.addHook('onRequest', (_request, reply, next) => {
    putHeaders(reply);
    next();
  });
}

/** Serves the metrics of all parts of the gateway. */
export function serveMetrics(api: Api, registry: Registry): void {
  api.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return registry.metrics();
  });
}

/**
 * Makes sure that closing the server ends. Node waits for every connection that has not been answered yet, and no longer
 * limits how long a request takes to arrive: a connection without a request, as browsers open them in advance, would
 * keep the server closing for ever.
 */
function endConnections(api: Api, limitMs: number): void {
  let closing = false;
  const open = new Set<Socket>();
  api.server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  api.server.on('request', ({ socket }, response) => {
    response.once('finish', () => {
      if (closing) socket.destroySoon();
    });
  });
  api.addHook('preClose', (done) => {
    closing = true;
    const limit = performance.now() + limitMs;
    const timer = setInterval(() => {
      const isLate = performance.now() >= limit;
      for (const socket of open) if (isLate || socket.bytesRead === 0) socket.destroy();
    }, CLOSE_STEP_MS);
    if (api.server.listening) api.server.once('close', () => clearInterval(timer));
    else clearInterval(timer);
    done();
  });
}
