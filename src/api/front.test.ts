import type { IncomingMessage, ServerResponse } from 'node:http';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import { createFront } from './index.js';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0)) await step();
});

async function front(passOn: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createFront({
    version: '1.2.3',
    readiness: () => 'no-leader',
    metrics: new Registry(),
    metricsFor: 'direct',
    passOn,
    log: pino({ enabled: false }),
  });
  undo.push(() => server.close());
  return { server, url: await server.listen({ host: '127.0.0.1', port: 0 }) };
}

it('tells of its process itself, and passes all else on', async () => {
  const { url } = await front(({ method, url: path }, response) => response.end(`${method!} ${path!}`));
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'alive', version: '1.2.3' });
  const ready = await fetch(`${url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'no-leader' }]);
  expect((await fetch(`${url}/metrics`)).status).toBe(200);
  for (const [method, path] of [
    ['GET', '/'],
    ['POST', '/v1/accounts/1/sessions?x=1'],
    ['POST', '/healthz'],
    ['GET', '/no/such'],
  ] as const)
    expect(await (await fetch(url + path, { method })).text()).toBe(`${method} ${path}`);
});

it('ends event streams when it closes, and lets other answers end', async () => {
  let slow: ServerResponse | undefined;
  const { server, url } = await front(({ url: path }, response) => {
    if (path === '/slow') slow = response;
    else response.setHeader('content-type', 'text/event-stream').write('data: 1\n\n');
  });
  const reader = (await fetch(`${url}/events`)).body!.getReader();
  expect((await reader.read()).done).toBe(false);
  const answer = fetch(`${url}/slow`);
  await expect.poll(() => slow).toBeDefined();
  const closed = server.close();
  // Cut off, it would fail.
  expect((await reader.read()).done).toBe(true);
  slow!.end('late');
  expect(await (await answer).text()).toBe('late');
  await closed;
});
