import { PatchbayError } from '../../../core/index.js';
import { DIALECTS, type DialectName, type ProgramFormat } from '../dialects/index.js';

/** A program to which the gateway connects, as an application describes it. */
export interface NewTarget {
  readonly url: string;
  readonly dialect: DialectName;
  /** Default: the dialect's. */
  readonly rate?: number;
  /** Default: `mix`. */
  readonly channels?: 'mix' | 'streams';
  /** HTTP headers of the request for the WebSocket. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The same, checked. */
export interface Target extends ProgramFormat {
  readonly url: string;
  readonly dialect: DialectName;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the WebSocket itself needs (RFC 6455 section 4.1), and what would change how the request is read. */
const FORBIDDEN_HEADERS =
  /^(?:host|connection|upgrade|keep-alive|te|trailer|transfer-encoding|content-length|expect|sec-websocket-.*)$/i;

/** @throws PatchbayError BAD_REQUEST that names the property */
export function checkedTarget({ url, dialect, rate, channels = 'mix', headers = {} }: NewTarget): Target {
  const { rates, defaultRate, hasChannels } = DIALECTS[dialect];
  const chosen = rates.find((known) => known === (rate ?? defaultRate));
  if (chosen === undefined) throw bad('rate', `${dialect} has the rates ${rates.join(', ')}`);
  if (channels === 'streams' && !hasChannels) throw bad('channels', `${dialect} has only mix`);
  const forbidden = Object.keys(headers).find((name) => FORBIDDEN_HEADERS.test(name));
  if (forbidden !== undefined) throw bad('headers', `${forbidden} cannot be set`);
  socketUrl(url);
  return { url, dialect, rate: chosen, channels, headers };
}

/** @throws PatchbayError BAD_REQUEST when it is no URL of a WebSocket */
export function socketUrl(text: string): URL {
  if (!URL.canParse(text)) throw bad('url', 'it is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:')
    throw bad('url', 'it must begin with wss:// or ws://');
  if (url.hash !== '') throw bad('url', 'a WebSocket URL has no fragment');
  return url;
}

export function bad(property: string, why: string): PatchbayError {
  return new PatchbayError('PATCHBAY_BAD_REQUEST', `body/${property}: ${why}.`);
}
