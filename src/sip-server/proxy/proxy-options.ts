import { readNumber } from '../message/grammar.js';

/** How an application wants a request to be proxied: what drachtio-srf's `req.proxy` offers. */
export interface ProxyOptions {
  /** Whether requests of the dialog that this makes come by us too (Record-Route). */
  readonly recordRoute: boolean;
  /** Whether the application wants to see each final response. */
  readonly fullResponse: boolean;
  readonly followRedirects: boolean;
  /** Whether all targets are tried at once instead of one after the other. */
  readonly simultaneous: boolean;
  /** Milliseconds that a target may take to its first response, and to its final one. */
  readonly provisionalMs: number | undefined;
  readonly finalMs: number | undefined;
  /** URIs, the first to be tried first. */
  readonly targets: readonly string[];
}

const MAX_MS = 3_600_000;

/** Reads the fields of the admin protocol's `proxy` message that follow its transaction id. */
export function readProxyOptions(fields: readonly string[]): ProxyOptions {
  const [remain, full, follow, forking, provisional = '', final = '', ...targets] = fields;
  return {
    recordRoute: remain === 'remainInDialog',
    fullResponse: full === 'fullResponse',
    followRedirects: follow === 'followRedirects',
    simultaneous: forking === 'simultaneous',
    provisionalMs: readDuration(provisional),
    finalMs: readDuration(final),
    targets: targets.filter((target) => target !== ''),
  };
}

/** `1500ms` or `2s`; anything else is no limit. */
export function readDuration(text: string): number | undefined {
  const match = /^(\d+)(ms|s)$/.exec(text.trim());
  const value = match ? readNumber(match[1]!, MAX_MS) : undefined;
  if (value === undefined || value === 0) return undefined;
  return Math.min(MAX_MS, match?.[2] === 's' ? value * 1000 : value);
}
