import { createCipheriv, randomBytes } from 'node:crypto';

/** SRTP crypto suites by their SDES names (RFC 4568 section 6.2, RFC 6188, RFC 7714 section 14.2). */
export interface SrtpSuite {
  readonly name: string;
  readonly mode: 'counter' | 'gcm';
  /** Lengths in bytes. */
  readonly keyLength: 16 | 32;
  readonly saltLength: 12 | 14;
  readonly rtpTagLength: number;
  readonly rtcpTagLength: number;
}

/** The supported suites. */
export const SRTP_SUITES: readonly SrtpSuite[] = [
  gcm('AEAD_AES_256_GCM', 32),
  gcm('AEAD_AES_128_GCM', 16),
  counter('AES_256_CM_HMAC_SHA1_80', 32, 10),
  counter('AES_CM_128_HMAC_SHA1_80', 16, 10),
  counter('AES_CM_128_HMAC_SHA1_32', 16, 4),
];

/** @returns undefined for an unsupported suite. Names are case-sensitive (RFC 4568 section 9.2). */
export function findSrtpSuite(name: string): SrtpSuite | undefined {
  return SRTP_SUITES.find((suite) => suite.name === name);
}

function gcm(name: string, keyLength: 16 | 32): SrtpSuite {
  return { name, mode: 'gcm', keyLength, saltLength: 12, rtpTagLength: 16, rtcpTagLength: 16 };
}

/** SRTCP always has the long tag (RFC 4568 section 6.2.2). */
function counter(name: string, keyLength: 16 | 32, rtpTagLength: number): SrtpSuite {
  return { name, mode: 'counter', keyLength, saltLength: 14, rtpTagLength, rtcpTagLength: 10 };
}

/** Master key and salt, as SDES carries them (RFC 4568 section 6.1), and the length of the MKI in packets. */
export interface MasterKey {
  readonly key: Buffer;
  readonly salt: Buffer;
  /** Bytes of master key identifier before the tag of each packet; 0: none. */
  readonly mkiLength: number;
}

/** Keys of one direction of RTP or of RTCP. */
export interface SessionKeys {
  readonly cipher: Buffer;
  readonly salt: Buffer;
  /** For the HMAC; empty with GCM. */
  readonly auth: Buffer;
}

const AUTH_KEY_LENGTH = 20;
const MAX_MKI_LENGTH = 128;
/** Labels of RFC 3711 section 4.3.1 and 4.3.2. */
const RTP_LABELS = { cipher: 0, auth: 1, salt: 2 } as const;
const RTCP_LABELS = { cipher: 3, auth: 4, salt: 5 } as const;

/** A random key of our own, without MKI. */
export function createMasterKey(suite: SrtpSuite): MasterKey {
  return { key: randomBytes(suite.keyLength), salt: randomBytes(suite.saltLength), mkiLength: 0 };
}

/** `inline:` parameter of `a=crypto` for a key of ours. */
export function writeInlineKey({ key, salt }: MasterKey): string {
  return `inline:${Buffer.concat([key, salt]).toString('base64')}`;
}

/**
 * Reads `inline:<key||salt>["|" lifetime]["|" MKI ":" length]`; of several keys the first.
 * @returns undefined if it is not a key for the suite
 */
export function readInlineKey(suite: SrtpSuite, keyParams: string): MasterKey | undefined {
  const match = /^inline:([A-Za-z0-9+/]+={0,2})((?:\|[^|;]+)*)(?:;|$)/.exec(keyParams);
  if (!match) return undefined;
  const bytes = Buffer.from(match[1]!, 'base64');
  if (bytes.length !== suite.keyLength + suite.saltLength) return undefined;
  const mkiLength = Number(/\|\d+:(\d{1,3})$/.exec(match[2]!)?.[1] ?? 0);
  if (mkiLength > MAX_MKI_LENGTH) return undefined;
  return { key: bytes.subarray(0, suite.keyLength), salt: bytes.subarray(suite.keyLength), mkiLength };
}

/** Whether two keys open the same packets. */
export function sameMasterKey(a: MasterKey, b: MasterKey): boolean {
  return a.key.equals(b.key) && a.salt.equals(b.salt) && a.mkiLength === b.mkiLength;
}

/** Session keys of RTP. */
export function deriveRtpKeys(suite: SrtpSuite, master: MasterKey): SessionKeys {
  return deriveKeys(suite, master, RTP_LABELS);
}

/** Session keys of RTCP. */
export function deriveRtcpKeys(suite: SrtpSuite, master: MasterKey): SessionKeys {
  return deriveKeys(suite, master, RTCP_LABELS);
}

function deriveKeys(
  suite: SrtpSuite,
  master: MasterKey,
  labels: typeof RTP_LABELS | typeof RTCP_LABELS,
): SessionKeys {
  return {
    cipher: derive(master, labels.cipher, suite.keyLength),
    auth: suite.mode === 'gcm' ? Buffer.alloc(0) : derive(master, labels.auth, AUTH_KEY_LENGTH),
    salt: derive(master, labels.salt, suite.saltLength),
  };
}

/** AES in counter mode as pseudo-random function (RFC 3711 section 4.3.3), with a key derivation rate of zero. */
function derive({ key, salt }: MasterKey, label: number, length: number): Buffer {
  // Salts shorter than 112 bits are filled up with zeros at the end (RFC 7714 section 11).
  const iv = Buffer.alloc(16);
  salt.copy(iv);
  iv[7]! ^= label;
  const cipher = createCipheriv(key.length === 32 ? 'aes-256-ctr' : 'aes-128-ctr', key, iv);
  return cipher.update(Buffer.alloc(length));
}
