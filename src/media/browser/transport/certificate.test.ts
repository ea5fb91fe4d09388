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

  it('is another one for each transport, so that a browser sees a new DTLS association', async () => {
    const made = await Promise.all([createTransportCertificate(), createTransportCertificate()]);
    const [one, other] = made.map(({ certificate }) => new X509Certificate(certificate));
    expect(one!.serialNumber).not.toBe(other!.serialNumber);
    expect(one!.fingerprint256).not.toBe(other!.fingerprint256);
  });
});
