import { createHash, generateKeyPair, randomBytes, sign } from 'node:crypto';
import { promisify } from 'node:util';

/** The certificate of our end of one transport. */
export interface TransportCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  /** Hash name and value, as in `a=fingerprint` (RFC 8122 section 5). */
  readonly fingerprint: string;
}

/** Tags of DER (ITU-T X.690). */
const [INTEGER, BIT_STRING, UTF8_STRING, UTC_TIME, SEQUENCE, SET] = [0x02, 0x03, 0x0c, 0x17, 0x30, 0x31];
const VERSION_3 = Buffer.from('a003020102', 'hex');
/** The algorithm `ecdsa-with-SHA256` (RFC 5758 section 3.2). */
const ECDSA_WITH_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex');
const COMMON_NAME = Buffer.from('0603550403', 'hex');
const NAME = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, Buffer.from('patchbay')))));
/** Browsers check only the fingerprint (RFC 8827 section 6.5): the certificate must only outlive the process. */
const VALIDITY = der(
  SEQUENCE,
  ...['200101000000Z', '491231235959Z'].map((at) => der(UTC_TIME, Buffer.from(at))),
);
const SERIAL_BYTES = 16;

const makeKeyPair = promisify(generateKeyPair);

/**
 * Makes a self-signed certificate (RFC 5280 section 4.1) for one transport. Each has its own: the new fingerprint tells a
 * browser that the replacement of a transport is a new DTLS association, not only an ICE restart (RFC 8842 section 4).
 * Written out here, since a package for certificates of all kinds takes 10 MB of each media host.
 */
export async function createTransportCertificate(): Promise<TransportCertificate> {
  const { publicKey, privateKey } = await makeKeyPair('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const serial = randomBytes(SERIAL_BYTES);
  // Positive, and without leading zeros.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const toBeSigned = der(
    SEQUENCE,
    VERSION_3,
    der(INTEGER, serial),
    ECDSA_WITH_SHA256,
    NAME,
    VALIDITY,
    NAME,
    publicKey,
  );
  const signature = sign('sha256', toBeSigned, privateKey);
  // No bit of the last byte is unused.
  const bytes = der(SEQUENCE, toBeSigned, ECDSA_WITH_SHA256, der(BIT_STRING, Buffer.of(0), signature));
  const digest = createHash('sha256').update(bytes).digest('hex').toUpperCase();
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
    privateKey,
    fingerprint: `sha-256 ${digest.replace(/..(?=.)/g, '$&:')}`,
  };
}

/** One value with its tag and length, which is to be as short as it can be: browsers refuse another. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const lengthBytes =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...lengthBytes), content]);
}
