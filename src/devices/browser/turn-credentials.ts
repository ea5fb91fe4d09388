import { createHmac } from 'node:crypto';

/** The operator's TURN server. */
interface TurnServer {
  /** `turn:` and `turns:` URLs (RFC 7065). */
  readonly urls: readonly string[];
  /** coturn's `static-auth-secret`. */
  readonly secret: string;
}

/** An entry of a browser's `iceServers`. */
interface IceServer {
  readonly urls: readonly string[];
  readonly username: string;
  readonly credential: string;
}

/**
 * Credentials for a TURN server that shares a secret with us, in the way that coturn calls `use-auth-secret`:
 * the user name says when they end and whose they are, and the password is its HMAC-SHA1 by the secret.
 * @param expiresAt epoch milliseconds until which the credentials work
 */
export function turnCredentials(
  { urls, secret }: TurnServer,
  participantId: string,
  expiresAt: number,
): IceServer {
  const username = `${String(Math.floor(expiresAt / 1000))}:${participantId}`;
  const credential = createHmac('sha1', secret).update(username).digest('base64');
  return { urls, username, credential };
}
