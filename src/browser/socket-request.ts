import { randomUUID } from 'node:crypto';

/** What a client says about itself in the URL of its WebSocket. */
export interface SocketRequest {
  readonly version: 'V3' | 'V2';
  readonly token: string;
  /** Stays the same over the reconnects of one client object. */
  readonly uniqueId: string;
  readonly sdkVersion: string;
}

const MAX_URL_LENGTH = 8192;
const PROTOCOL_PATH = /(?:^|\/)v([23])\/?$/i;
const UNIQUE_ID = /^[\w.:@+-]{1,128}$/;

/**
 * Reads the request target of an upgrade: `/v3`, `/v3/` or `//v3/`, behind any path prefix.
 * @returns undefined when it is not for the browser protocol
 */
export function parseSocketRequest(target: string): SocketRequest | undefined {
  if (target.length > MAX_URL_LENGTH) return undefined;
  // Not by `new URL`, which takes the `v3` of `//v3/` for a host.
  const queryAt = target.indexOf('?');
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  const version = PROTOCOL_PATH.exec(path)?.[1];
  if (version === undefined) return undefined;
  const query = new URLSearchParams(queryAt < 0 ? '' : target.slice(queryAt + 1));
  const uniqueId = query.get('uniqueId') ?? '';
  return {
    version: version === '3' ? 'V3' : 'V2',
    token: query.get('token') ?? '',
    uniqueId: UNIQUE_ID.test(uniqueId) ? uniqueId : randomUUID(),
    sdkVersion: (query.get('sdkVersion') ?? '').slice(0, 32),
  };
}
