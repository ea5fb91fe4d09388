import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type ErrorCode, PatchbayError } from '../core/index.js';
import { hangUp } from '../shared/index.js';
import { idsNamed } from './authentication.js';
import { type Api, putHeaders } from './instance.js';

interface Failure {
  readonly status: number;
  readonly reason: ErrorCode;
  readonly message: string;
}

/** Answers every error, of a route or of the framework, with the same kind of body. */
export function answerErrors(api: Api, log: Logger): void {
  api.setErrorHandler((error, request, reply) => answerError(error, request, reply, log));
  const routes: Route[] = [];
  api.addHook('onRoute', ({ method, url }) => {
    for (const name of [method].flat()) routes.push({ method: name, segments: segmentsOf(url) });
  });
  api.setNotFoundHandler((request, reply) => {
    const path = segmentsOf(request.url.split('?', 1)[0]!);
    const allowed = [
      ...new Set(routes.filter(({ segments }) => fits(segments, path)).map(({ method }) => method)),
    ];
    if (allowed.length === 0) {
      const missing = new PatchbayError('PATCHBAY_NOT_FOUND', 'There is no such resource.');
      answerError(missing, request, reply, log);
      return;
    }
    const allow = allowed.join(', ');
    reply.header('allow', allow);
    const words = `${request.method} is not allowed here; allowed: ${allow}.`;
    answerError(new PatchbayError('PATCHBAY_METHOD_NOT_ALLOWED', words), request, reply, log);
  });
}

interface Route {
  readonly method: string;
  readonly segments: readonly string[];
}

/** The segments of a path as the router sees it: it ignores doubled and trailing slashes. */
const segmentsOf = (path: string): readonly string[] => path.split('/').filter((segment) => segment !== '');

function fits(pattern: readonly string[], path: readonly string[]): boolean {
  return (
    pattern.length === path.length &&
    pattern.every((segment, at) => segment.startsWith(':') || segment === path[at])
  );
}

/** Default `Retry-After`, in seconds. */
const PAUSES_S = new Map([
  [429, '60'],
  [503, '1'],
]);

/** Answers a request with an error. Unexpected errors are logged, and their details are not sent. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  const failure = failureOf(error);
  if (failure.status === 500) {
    log.error({ err: error, requestId: request.id, ...idsNamed(request) }, 'A request failed');
  }
  const pause = PAUSES_S.get(failure.status);
  if (pause !== undefined && !reply.hasHeader('retry-after')) reply.header('retry-after', pause);
  putHeaders(reply);
  void reply.code(failure.status).send(bodyOf(failure, request.id));
}

/** Answers malformed, oversized or slow HTTP, and closes the connection. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { line, message } = clientErrors.get(error.code) ?? badRequest;
  const status = Number.parseInt(line, 10);
  const body = JSON.stringify(bodyOf({ status, reason: 'PATCHBAY_BAD_REQUEST', message }, randomUUID()));
  hangUp(
    socket,
    `HTTP/1.1 ${line}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

const badRequest = { line: '400 Bad Request', message: 'The request is not valid HTTP.' };
const clientErrors = new Map<string | undefined, typeof badRequest>([
  [
    'HPE_HEADER_OVERFLOW',
    { line: '431 Request Header Fields Too Large', message: 'Path and headers are too large.' },
  ],
  [
    'ERR_HTTP_REQUEST_TIMEOUT',
    { line: '408 Request Timeout', message: 'The request took too long to arrive.' },
  ],
]);

function failureOf(error: unknown): Failure {
  if (error instanceof PatchbayError) {
    return { status: error.httpStatus, reason: error.code, message: error.message };
  }
  const status = statusOf(error);
  if (error instanceof Error && status >= 400 && status < 500) {
    return { status, reason: reasonOf(status), message: error.message };
  }
  return { status: 500, reason: 'PATCHBAY_INTERNAL', message: 'Internal error; see the log of the gateway.' };
}

/** The HTTP framework's errors have their status as a property. */
function statusOf(error: unknown): number {
  const carried = typeof error === 'object' && error !== null && 'statusCode' in error && error.statusCode;
  return typeof carried === 'number' ? carried : 500;
}

function reasonOf(status: number): ErrorCode {
  switch (status) {
    case 404:
      return 'PATCHBAY_NOT_FOUND';
    case 413:
      return 'PATCHBAY_PAYLOAD_TOO_LARGE';
    case 415:
      return 'PATCHBAY_UNSUPPORTED_MEDIA_TYPE';
    default:
      return 'PATCHBAY_BAD_REQUEST';
  }
}

function bodyOf({ status, reason, message }: Failure, requestId: string) {
  // Published clients compare with this word.
  const known = status === 401 ? 'Unauthorized' : message;
  return { error: message, message: known, code: status, reason, requestId };
}
