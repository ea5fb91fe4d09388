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
 * Credentials for a TURN server with coturn's `use-auth-secret`: the user name holds the expiry and the participant, and
 * the password is the HMAC-SHA1 of the user name with the shared secret.
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
