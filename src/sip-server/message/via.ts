import { readParams, splitList, type Params } from './grammar.js';
import type { Headers } from './headers.js';
import { hostPort, unbracket } from './uri.js';

/** One Via value (RFC 3261 section 20.42). */
export interface Via {
  /** Upper case: UDP, TCP, TLS or anything else that a peer writes. */
  readonly transport: string;
  /** Without brackets. */
  readonly host: string;
  readonly port: number | undefined;
  readonly params: Params;
}

const VIA =
  /^SIP\s*\/\s*2\.0\s*\/\s*([A-Za-z0-9\-.!%*_+`'~]+)\s+(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._]+)(?:\s*:\s*(\d{1,5}))?\s*(;.*)?$/i;

/** Branches of RFC 3261 begin with this; others need the matching of RFC 2543 (section 17.2.3). */
export const BRANCH_COOKIE = 'z9hG4bK';

/** Reads one Via value; undefined when it is malformed. */
export function parseVia(value: string): Via | undefined {
  const match = VIA.exec(value.trim());
  if (!match) return undefined;
  const port = match[3] === undefined ? undefined : Number(match[3]);
  const params = readParams(match[4] ?? '');
  if (!params || (port !== undefined && port > 65_535)) return undefined;
  return { transport: match[1]!.toUpperCase(), host: unbracket(match[2]!), port, params };
}

/** The topmost Via value of a message; undefined when it is missing or malformed. */
export function topVia(values: readonly string[]): Via | undefined {
  const first = splitList(values[0] ?? '')?.[0];
  return first === undefined ? undefined : parseVia(first);
}

/** Takes the topmost Via value away, whether it stands on a line of its own or not; another may come in its place. */
export function replaceTopVia(headers: Headers, ...instead: readonly string[]): void {
  const [first = '', ...others] = headers.all('via');
  const rest = (splitList(first) ?? []).slice(1);
  headers.replace('Via', [...instead, ...(rest.length === 0 ? [] : [rest.join(', ')]), ...others]);
}

/** Writes a Via value. */
export function formatVia(via: Via): string {
  let text = `SIP/2.0/${via.transport} ${hostPort(via.host, via.port)}`;
  for (const [name, value] of via.params) text += value === '' ? `;${name}` : `;${name}=${value}`;
  return text;
}
