import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { readMetrics } from '../support/metrics.js';
import { Rest } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const FILES = 256;

let gateway: TestGateway;
let bystander: Bystander;
beforeAll(async () => {
  gateway = await startGateway({ env: TWO_ACCOUNTS, runBy: ['prlimit', `--nofile=${FILES}`] });
  bystander = await Bystander.start(gateway);
});
afterAll(async () => {
  await bystander.end();
  expect(await gateway.stop()).toBe(0);
});

it('keeps file descriptors for phones when strangers open as many HTTP connections as they can', async () => {
  expect(gateway.log.some(({ msg }) => msg?.startsWith('few file descriptors'))).toBe(true);
  const rest = new Rest(gateway);
  const { token } = await rest.member(await rest.session());
  let closed = 0;
  const strangers: Socket[] = Array.from({ length: 2 * FILES }, (_, i) =>
    connect({ port: gateway.httpPort, host: '127.0.0.1', localAddress: `127.0.2.${i % 200}` })
      .on('error', () => undefined)
      .once('close', () => (closed += 1))
      .resume(),
  );
  await until('refused connections', () => closed > FILES, { withinMs: 20_000 });
  const call = await placeCall({ sipPort: gateway.sipPort, token });
  expect((await call.final()).status).toBe(200);
  await call.hangUp();
  await call.end();
  for (const stranger of strangers) stranger.destroy();
  await bystander.stillHears();
  const refused = 'patchbay_http_connections_refused_total{reason="descriptors"}';
  const metrics = await until('metrics', () => readMetrics(gateway).catch(() => undefined), {
    withinMs: 20_000,
  });
  expect(metrics.get(refused)).toBeGreaterThan(FILES);
  expect(metrics.get('patchbay_descriptors{which="limit"}')).toBe(FILES);
});
