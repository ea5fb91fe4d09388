/**
 * `node dist/app/health-check.js`: asks the gateway that has the same environment whether it is ready, and exits with 0
 * then. For the image, which has no curl.
 */
import { isIPv6 } from 'node:net';

/** What a gateway listens on that listens on all addresses. */
const EVERYWHERE = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

// Empty is unset, as compose files have it.
const configured = process.env['PATCHBAY_HTTP_HOST'] || '127.0.0.1';
const host = EVERYWHERE.get(configured) ?? configured;
const port = process.env['PATCHBAY_HTTP_PORT'] || '8080';
const url = `http://${isIPv6(host) ? `[${host}]` : host}:${port}/readyz`;
try {
  const { status } = await fetch(url);
  if (status !== 200) throw new Error(`${url}: ${status}`);
} catch (error) {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
}
