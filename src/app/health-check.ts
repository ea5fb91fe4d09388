/**
 * `node dist/app/health-check.js`: exits with 0 if the gateway with the same environment is ready. For the container
 * image, which has no curl.
 */
import { isIPv6 } from 'node:net';

/** An address to connect to for each one that means all addresses. */
const EVERYWHERE = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

// An empty variable counts as unset, since compose files write it so.
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
