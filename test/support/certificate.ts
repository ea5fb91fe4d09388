import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PEM files of a self-signed certificate for 127.0.0.1. */
interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  remove(): void;
}

/** Makes one with openssl, as an operator would. */
export function makeCertificate(): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-certificate-'));
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  // linphone's TLS library looks for the address among the DNS names only.
  const names = 'subjectAltName=DNS:127.0.0.1,IP:127.0.0.1,IP:::1';
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', names, '-days', '2'];
  const files = ['-keyout', keyFile, '-out', certFile];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...subject], {
    stdio: 'ignore',
  });
  return { certFile, keyFile, remove: () => rmSync(folder, { recursive: true }) };
}
