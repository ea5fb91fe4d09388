import { isIP } from 'node:net';
import {
  checkServerIdentity,
  connect,
  type PeerCertificate,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import type { Endpoint } from './flow.js';

/** Whom TLS connections that this server opens may lead to. */
export interface TlsPeerOptions {
  /** Whether the peer must prove to be who its URI says (RFC 5922). */
  readonly verify: boolean;
  /** Authorities in PEM that may vouch for peers; without them, those that Node brings. */
  readonly ca?: TlsOptions['ca'];
}

/** Opens a TLS connection to a peer whose certificate must be for `name`; shows ours, if there is one. */
export function connectToTlsPeer(
  remote: Endpoint,
  name: string,
  options: TlsPeerOptions,
  own: Pick<TlsOptions, 'cert' | 'key'>,
): TLSSocket {
  return connect({
    ...own,
    host: remote.host,
    port: remote.port,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    rejectUnauthorized: options.verify,
    checkServerIdentity: (_host, certificate) => identityFault(name, certificate),
  });
}

/** A SIP domain may stand as a URI in a certificate (RFC 5922 section 7.1), which Node does not look at. */
function identityFault(name: string, certificate: PeerCertificate): Error | undefined {
  const alternatives = (certificate.subjectaltname ?? '').split(', ');
  if (alternatives.includes(`URI:sip:${name.toLowerCase()}`)) return undefined;
  return checkServerIdentity(name, certificate);
}
