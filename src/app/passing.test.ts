import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, it } from 'vitest';
import { clientAddresses, secureRequests } from '../shared/index.js';
import { silentLog } from '../shared/testing/index.js';
import { startClusterServer } from './cluster-server.js';
import { factsOfPassed, forgetPassing, Passing } from './passing.js';

const SECRET = 'the-secret-of-the-database';
const CLIENTS = { clientAddress: clientAddresses(['127.0.0.1']), isSecure: secureRequests(['127.0.0.1']) };

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

/** A leader that answers so, and a gateway that passes requests on to it. */
async function stage(rest: RequestListener | undefined) {
  const leader = await startClusterServer({
    host: '127.0.0.1',
    port: 0,
    secret: SECRET,
    onEdge: (_request, socket) => socket.destroy(),
    rest: () => rest,
  });
  undo.push(() => leader.stop());
  let address: string | undefined = leader.address;
  const passing = new Passing({ ...CLIENTS, secret: SECRET, leader: () => address, log: silentLog });
  undo.push(() => passing.stop());
  const at = await listen(createServer((request, response) => passing.passOn(request, response)));
  return {
    url: `http://${at}`,
    leader,
    passing,
    lose: () => {
      address = undefined;
      passing.leaderLost();
    },
  };
}

it('passes on method, path, headers and body, and the answer with its status', async () => {
  const { url } = await stage((request, response) => {
    void text(request).then((body) => {
      response.writeHead(201, { 'x-answer': 'yes', 'content-type': 'text/plain' });
      response.end(`${request.method!} ${request.url!} ${request.headers['x-question']!.toString()} ${body}`);
    });
  });
  const headers = { 'x-question': 'why', 'content-type': 'application/json' };
  const answer = await fetch(`${url}/v1/a?b=c`, { method: 'PUT', headers, body: '{"d":1}' });
  expect([answer.status, answer.headers.get('x-answer'), await answer.text()]).toEqual([
    201,
    'yes',
    'PUT /v1/a?b=c why {"d":1}',
  ]);
});

it('tells the leader of the client, and a client cannot say that itself', async () => {
  const facts = factsOfPassed(CLIENTS);
  const told = (request: IncomingMessage): string =>
    JSON.stringify([facts.clientAddress(request), facts.isSecure(request)]);
  const { url } = await stage((request, response) => response.end(told(request)));
  const headers = {
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-proto': 'https',
    'x-patchbay-client': '198.51.100.1',
    'x-patchbay-secure': 'no',
  };
  expect(await (await fetch(url, { headers })).json()).toEqual(['203.0.113.7', true]);
  // One that comes to the leader itself.
  const own = await listen(
    createServer((request, response) => {
      forgetPassing(request);
      response.end(told(request));
    }),
  );
  expect(await (await fetch(`http://${own}`, { headers })).json()).toEqual(['203.0.113.7', true]);
});

it('answers 503 while there is no leader, or the one that is asked does not lead', async () => {
  const { url, lose } = await stage(undefined);
  const refusal = async (): Promise<unknown> => {
    const answer = await fetch(url, { method: 'POST', body: 'x' });
    const { reason } = (await answer.json()) as { reason: string };
    return [answer.status, answer.headers.get('retry-after'), reason];
  };
  expect(await refusal()).toEqual([503, '1', 'PATCHBAY_NO_LEADER']);
  lose();
  expect(await refusal()).toEqual([503, '1', 'PATCHBAY_NO_LEADER']);
});

it('lets nobody in at the private server who does not know the secret', async () => {
  const { leader } = await stage((_request, response) => response.end('in'));
  for (const secret of ['', 'wrong', `${SECRET}x`]) {
    const answer = await fetch(`http://${leader.address}/v1`, { headers: { 'x-patchbay-secret': secret } });
    expect(answer.status).toBe(401);
  }
});

it('answers what waits for a leader that is lost, and cuts what is under way', async () => {
  let asked = 0;
  const { url, lose } = await stage((request, response) => {
    asked += 1;
    // An event stream has begun; the other request is not answered.
    if (request.url === '/events') response.writeHead(200).write('data: 1\n\n');
  });
  const events = await fetch(`${url}/events`);
  const reader = events.body!.getReader();
  const { value } = (await reader.read()) as { value: Uint8Array };
  expect(new TextDecoder().decode(value)).toBe('data: 1\n\n');
  const waiting = fetch(`${url}/slow`);
  await expect.poll(() => asked).toBe(2);
  lose();
  const answer = await waiting;
  expect([answer.status, await answer.json()]).toMatchObject([503, { reason: 'PATCHBAY_NO_LEADER' }]);
  await expect(reader.read()).rejects.toThrow();
});

it('ends the stream at the leader when it is ended here', async () => {
  let isOver = false;
  const { passing } = await stage((_request, response) => {
    response.on('close', () => (isOver = true));
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  });
  let passed: ServerResponse | undefined;
  const at = await listen(
    createServer((request, response) => {
      passed = response;
      passing.passOn(request, response);
    }),
  );
  const reader = (await fetch(`http://${at}/`)).body!.getReader();
  await reader.read();
  expect(passed!.getHeader('content-type')).toBe('text/event-stream');
  passed!.end();
  expect((await reader.read()).done).toBe(true);
  await expect.poll(() => isOver).toBe(true);
});

it('ends the request at the leader when the client goes away', async () => {
  let isOver = false;
  let hasBegun = false;
  const { url } = await stage((_request, response) => {
    hasBegun = true;
    response.on('close', () => (isOver = true));
  });
  const client = connect(Number(new URL(url).port), '127.0.0.1');
  client.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
  await expect.poll(() => hasBegun).toBe(true);
  client.destroy();
  await expect.poll(() => isOver).toBe(true);
});
