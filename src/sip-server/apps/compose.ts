import type { AppMessage } from './wire.js';
import { type HeaderField, spellName } from '../message/headers.js';
import { hostPort } from '../message/uri.js';
import type { Flow } from '../transport/flow.js';

/** Headers that the application cannot set. */
const STACK_HEADERS = new Set([
  'via',
  'route',
  'record-route',
  'content-length',
  'rseq',
  'call-id',
  'cseq',
  'from',
  'to',
  'max-forwards',
]);

/** The headers that are copied from an application's message, with `localhost` replaced by our address. */
export function appHeaders(message: AppMessage, flow: Flow): (readonly [string, string])[] {
  const headers: (readonly [string, string])[] = [];
  for (const field of message.headers) {
    if (!STACK_HEADERS.has(field.key)) headers.push([spellName(field.name), localized(field, flow)]);
  }
  return headers;
}

function localized({ key, value }: HeaderField, flow: Flow): string {
  if (key === 'contact') return contactOf(value, flow);
  return key === 'p-asserted-identity' ? replaceLocalhost(value, flow) : value;
}

/** The application's Contact, in brackets as peers expect, with the transport in use as its URI parameter. */
function contactOf(value: string, flow: Flow): string {
  const [, uri, params] = /^(sips?:[^<>;,\s]+)((?:;[^<>,]*)?)$/i.exec(value) ?? [];
  const named = uri === undefined ? value : `<${uri}>${params!}`;
  if (flow.transport === 'udp' || /;transport=/i.test(named)) return replaceLocalhost(named, flow);
  return replaceLocalhost(
    named.replace(/@localhost(:\d+)?(?=[>;])/g, `$&;transport=${flow.transport}`),
    flow,
  );
}

/** Replaces `localhost`, which applications write for the address of this server. */
export function replaceLocalhost(value: string, flow: Flow): string {
  return value.replace(/@localhost(?::\d+)?/g, `@${hostPort(flow.local.host, flow.local.port)}`);
}

/** Our Contact towards a peer. */
export function ownContact(flow: Flow): string {
  const transport = flow.transport === 'udp' ? '' : `;transport=${flow.transport}`;
  return `<sip:${hostPort(flow.local.host, flow.local.port)}${transport}>`;
}

/** The Content-Type of a body: the application's, else SDP if the body looks like it, else undefined. */
export function contentType(message: AppMessage): string | undefined {
  const given = message.headers.get('content-type');
  if (given !== undefined || message.body.length === 0) return given;
  return message.body.toString('latin1', 0, 3) === 'v=0' ? 'application/sdp' : undefined;
}
