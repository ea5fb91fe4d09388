import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';

/** Runs the check with a server that listens there. @returns its exit code, and whether the server got a request */
async function check(listen: string, configured: string, status: number): Promise<[number, boolean]> {
  let asked = false;
  const server = createServer((request, response) => {
    asked = request.url === '/readyz';
    response.writeHead(status).end();
  }).listen(0, listen);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const env = { ...process.env, PATCHBAY_HTTP_HOST: configured, PATCHBAY_HTTP_PORT: String(port) };
  const code = await new Promise<number>((resolve) => {
    const child = execFile(process.execPath, ['--import', 'tsx', 'src/app/health-check.ts'], { env });
    child.once('exit', (exitCode) => resolve(exitCode ?? -1));
  });
  server.close();
  return [code, asked];
}

it.each([
  ['127.0.0.1', ''],
  ['127.0.0.2', '127.0.0.2'],
  ['::1', '::1'],
  ['0.0.0.0', '0.0.0.0'],
  ['::1', '::'],
])('reaches a gateway on %s with PATCHBAY_HTTP_HOST=%s', async (listen, configured) => {
  expect(await check(listen, configured, 200)).toEqual([0, true]);
});

it('fails when the gateway is not ready', async () => {
  expect(await check('127.0.0.1', '127.0.0.1', 503)).toEqual([1, true]);
});
