import { readNumber, splitList } from '../message/grammar.js';
import { type Headers, replaceTopVia } from '../message/headers.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { hostPort, parseNameAddr, parseSipUri } from '../message/uri.js';
import type { Flow } from '../transport/flow.js';

const DEFAULT_MAX_FORWARDS = 70;

/** Whether a URI names this server. */
type IsOurs = (uri: string) => boolean;

/** Whether a request has no hops left (RFC 3261 section 16.3). */
export function hasNoHopsLeft(request: SipRequest): boolean {
  return readNumber(request.headers.get('max-forwards') ?? '', 255) === 0;
}

/**
 * The copy of a request that is forwarded: Max-Forwards decremented, our own Route values removed (sections 16.4,
 * 16.6).
 */
export function forwardedRequest(request: SipRequest, isOurs: IsOurs): SipRequest {
  const headers = request.headers.copy();
  const left = readNumber(headers.get('max-forwards') ?? '', 255);
  headers.set('Max-Forwards', String(left === undefined ? DEFAULT_MAX_FORWARDS : left - 1));
  const routes = headers.all('route').flatMap((value) => splitList(value) ?? []);
  let { uri } = request;
  const last = routes.at(-1);
  if (last !== undefined && isOurs(uri) && parseSipUri(uri)?.params.has('lr') === true) {
    // A strict router put our Route into the Request-URI, and the target last into the route.
    uri = uriOf(last);
    routes.pop();
  }
  while (routes[0] !== undefined && isOurs(uriOf(routes[0]))) routes.shift();
  return { ...request, uri: setRoutes(headers, routes, uri), headers };
}

/** The URI to which a request in a dialog is sent next. */
export function nextHopOf(request: SipRequest): string {
  const first = splitList(request.headers.get('route') ?? '')?.[0];
  return first === undefined ? request.uri : uriOf(first);
}

/** Keeps us in the path of later requests: by Record-Route, or by Path for REGISTER (RFC 3327). */
export function addRecordRoute(request: SipRequest, cameBy: Flow, goesBy: Flow): void {
  const name = request.method === 'REGISTER' ? 'Path' : 'Record-Route';
  const [here, there] = [routeTo(cameBy), routeTo(goesBy)];
  // Between two transports or networks, give each side the address that it can reach (RFC 5658).
  if (here !== there) request.headers.prepend(name, here);
  request.headers.prepend(name, there);
  if (name === 'Path' && !/\bpath\b/.test(request.headers.all('require').join())) {
    request.headers.add('Require', 'path');
  }
}

/** The copy of a response that is forwarded: without our Via (section 16.7). */
export function forwardedResponse(response: SipResponse): SipResponse {
  const headers = response.headers.copy();
  replaceTopVia(headers);
  return { ...response, headers };
}

/**
 * If the next hop is a strict router, its URI becomes the Request-URI and the target the last Route (section 16.6).
 */
function setRoutes(headers: Headers, routes: string[], uri: string): string {
  headers.remove('route');
  const first = routes[0];
  const strict = first !== undefined && parseSipUri(uriOf(first))?.params.has('lr') !== true;
  const rest = strict ? [...routes.slice(1), `<${uri}>`] : routes;
  for (const route of rest) headers.add('Route', route);
  return strict ? uriOf(first) : uri;
}

function uriOf(route: string): string {
  return parseNameAddr(route)?.uri ?? '';
}

function routeTo({ transport, local }: Flow): string {
  const suffix = transport === 'udp' ? '' : `;transport=${transport}`;
  return `<sip:${hostPort(local.host, local.port)}${suffix};lr>`;
}
