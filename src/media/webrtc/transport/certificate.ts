import { X509Certificate } from 'node:crypto';
import { generate } from 'selfsigned';

const YEAR_MS = 365 * 24 * 3_600_000;
/** Browsers compare the fingerprint and look at nothing else (RFC 8827 section 6.5): it must only outlive the process. */
const VALID_YEARS = 10;

/** The certificate of our end of one path. */
export interface TransportCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  /** Hash name and value, as in `a=fingerprint` (RFC 8122 section 5). */
  readonly fingerprint: string;
}

/**
 * Makes a certificate for one path. Each has its own: by another fingerprint a browser knows that a path offered in
 * place of one is a new DTLS association and no mere ICE restart (RFC 8842 section 4).
 */
export async function createTransportCertificate(): Promise<TransportCertificate> {
  const made = await generate([{ name: 'commonName', value: 'patchbay' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + VALID_YEARS * YEAR_MS),
  });
  const { fingerprint256 } = new X509Certificate(made.cert);
  return { certificate: made.cert, privateKey: made.private, fingerprint: `sha-256 ${fingerprint256}` };
}
