import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';
import { until } from '../support/until.js';

interface Attempt {
  readonly path: string;
  readonly id: string;
  readonly body: Readonly<Record<string, string>>;
}

type Answer = (response: ServerResponse, attempt: Attempt) => void;

const takes: Answer = (response) => response.writeHead(204).end();

/** An application that answers as the test says. */
class Application {
  readonly attempts: Attempt[] = [];
  answer: Answer = takes;
  readonly #server = createServer((request, response) => {
    void json(request).then((body) => {
      const attempt = {
        path: request.url ?? '',
        id: idOf(request.headers),
        body: body as Attempt['body'],
      };
      this.attempts.push(attempt);
      this.answer(response, attempt);
    });
  });

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Waits for a participant's event. @returns all its events so far, without repeated attempts */
  async heard(event: string, { id }: TestParticipant): Promise<readonly Attempt['body'][]> {
    const events = () => [
      ...new Map(
        this.attempts
          .filter(({ body }) => body['participantId'] === id)
          .map((attempt) => [attempt.id, attempt.body]),
      ).values(),
    ];
    await until(`${event} of the participant`, () => events().some((body) => body['event'] === event), {
      withinMs: 20_000,
    });
    return events();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

function idOf(headers: IncomingHttpHeaders): string {
  return String(headers['x-patchbay-event-id']);
}

let gateway: TestGateway;
let rest: Rest;
const application = new Application();

beforeAll(async () => {
  await application.start();
  gateway = await startGateway();
  rest = new Rest(gateway);
});

afterAll(async () => {
  await gateway.stop();
  await application.stop();
});

async function openSocket({ token }: TestParticipant): Promise<WebSocket> {
  const socket = new WebSocket(
    `${gateway.wsUrl}/v3/?token=${token}&client=browser&sdkVersion=0.12.0&uniqueId=page-1`,
  );
  await once(socket, 'open');
  return socket;
}

it('tell of a page that connects, loses its socket, comes back and leaves', async () => {
  application.answer = takes;
  const ann = await rest.participant({ callbackUrl: `${application.url}/ann`, tag: 'guest' });
  const first = await openSocket(ann);
  first.send('{"jsonrpc":"2.0","id":1,"method":"setMediaPreferences","params":{"protocol":"WEBRTC"}}');
  await application.heard('onConnect', ann);
  first.terminate();
  await application.heard('onDisconnect', ann);
  const second = await openSocket(ann);
  second.send('{"jsonrpc":"2.0","method":"leave"}');
  const events = await application.heard('onLeave', ann);
  second.close();
  const whose = {
    timestamp: expect.stringMatching(/^\d{13}$/) as string,
    participantId: ann.id,
    deviceId: 'page-1',
    tag: 'guest',
  };
  const page = { kind: 'browser', direction: 'inbound', received: null, sent: null };
  expect(events).toEqual([
    { event: 'onConnect', ...whose, ...page },
    { event: 'onDisconnect', ...whose },
    { event: 'onLeave', ...whose, ...page, reason: 'left', seconds: expect.any(Number) as number },
  ]);
});

it('delay no call when the application hangs, and come in order when it works again', async () => {
  const hanging: ServerResponse[] = [];
  application.answer = (response) => hanging.push(response);
  const phone = await rest.participant({ callbackUrl: `${application.url}/phone` });
  const call = await placeCall({ sipPort: gateway.sipPort, token: phone.token });
  await application.heard('onConnect', phone);
  await call.hangUp();
  await until('the call to be over', async () => !(await connected(phone)), { withinMs: 20_000 });
  const before = application.attempts.filter(({ path }) => path === '/phone');
  expect(before.map(({ body }) => body['event'])).toEqual(['onConnect']);

  application.answer = takes;
  for (const response of hanging) response.writeHead(503).end();
  const events = await application.heard('onLeave', phone);
  const format = { codecs: ['PCMU'], encryption: 'none' };
  expect(events).toMatchObject([
    { event: 'onConnect', received: format, sent: format },
    { event: 'onLeave', received: format, sent: format },
  ]);
  await call.end();
  const attempts = application.attempts.filter(({ path }) => path === '/phone');
  expect(attempts.map(({ body }) => body['event'])).toEqual(['onConnect', 'onConnect', 'onLeave']);
  expect(new Set(attempts.map(({ id }) => id)).size).toBe(2);
});

it('follow no redirect, and a participant that names a metadata address is not created', async () => {
  application.answer = (response, { path }) => {
    if (path === '/moved') response.writeHead(307, { location: '/elsewhere' }).end();
    else response.writeHead(204).end();
  };
  const moved = await rest.participant({ callbackUrl: `${application.url}/moved` });
  const socket = await openSocket(moved);
  const failed = await gateway.waitForLog(
    (line) => line.msg === 'webhook failed, to be retried' && line['participantId'] === moved.id,
  );
  expect(JSON.stringify(failed)).toContain('307');
  socket.close();
  expect(application.attempts.filter(({ path }) => path === '/elsewhere')).toEqual([]);

  const spying = rest.participant({ callbackUrl: 'http://169.254.169.254/latest/meta-data?secret=1' });
  await expect(spying).rejects.toThrow(/400 .*must not connect to 169\.254\.169\.254/);
  await expect(spying).rejects.not.toThrow('secret');
});

async function connected({ id }: TestParticipant): Promise<boolean> {
  try {
    await rest.device(id);
    return true;
  } catch (error) {
    if (String(error).includes('404')) return false;
    throw error;
  }
}
