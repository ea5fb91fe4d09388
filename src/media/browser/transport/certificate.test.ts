import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createTransportCertificate } from './certificate.js';

describe('the certificate of a transport', () => {
  it('is signed by its own key, valid for the life of any process, and has the fingerprint that SDP tells', async () => {
    const { certificate, privateKey, fingerprint } = await createTransportCertificate();
    const read = new X509Certificate(certificate);
    expect(read.verify(read.publicKey)).toBe(true);
    expect(read.checkPrivateKey(createPrivateKey(privateKey))).toBe(true);
    expect(read.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect([read.subject, read.issuer]).toEqual(['CN=patchbay', 'CN=patchbay']);
    expect([read.validFrom, read.validTo]).toEqual(['Jan  1 00:00:00 2020 GMT', 'Dec 31 23:59:59 2049 GMT']);
    expect(fingerprint).toBe(`sha-256 ${read.fingerprint256}`);
  });

  it('has no length that could be shorter, which browsers refuse and OpenSSL takes', async () => {
    const { certificate } = await createTransportCertificate();
    let long = 0;
    const walk = (bytes: Buffer): void => {
      for (let at = 0; at < bytes.length;) {
        const first = bytes[at + 1]!;
        const more = first < 0x80 ? 0 : first & 0x7f;
        const length = more === 0 ? first : bytes.readUIntBE(at + 2, more);
        if (more > 0) {
          long += 1;
          expect(length).toBeGreaterThanOrEqual(more === 1 ? 0x80 : 0x100 ** (more - 1));
        }
        const [start, end] = [at + 2 + more, at + 2 + more + length];
        // Constructed.
        if ((bytes[at]! & 0x20) !== 0) walk(bytes.subarray(start, end));
        at = end;
      }
    };
    walk(new X509Certificate(certificate).raw);
    expect(long).toBeGreaterThan(0);
  });

  it('is another one for each transport, so that a browser sees a new DTLS association', async () => {
    const made = await Promise.all([createTransportCertificate(), createTransportCertificate()]);
    const [one, other] = made.map(({ certificate }) => new X509Certificate(certificate));
    expect(one!.serialNumber).not.toBe(other!.serialNumber);
    expect(one!.fingerprint256).not.toBe(other!.fingerprint256);
  });
});
