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
