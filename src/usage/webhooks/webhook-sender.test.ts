import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import type { Resolve } from './target-guard.js';
import { WebhookSender, WebhookTimeoutError } from './webhook-sender.js';
import type { Webhook } from './webhook.js';

const servers: Server[] = [];
const senders: WebhookSender[] = [];

afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.stop()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** An application that answers as told. @returns its port */
async function application(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

function sender(options: Partial<ConstructorParameters<typeof WebhookSender>[0]> = {}): WebhookSender {
  const made = new WebhookSender({ targets: {}, timeoutMs: 5_000, ...options });
  senders.push(made);
  return made;
}

function webhook(url: string): Webhook {
  return {
    id: 'event-1',
    url,
    createdAt: 0,
    body: { event: 'onConnect', timestamp: '1628786234676', participantId: 'p', deviceId: 'd', tag: 't' },
  };
}

describe('a webhook', () => {
  it('is posted as JSON, with an id', async () => {
    const got: { request?: IncomingMessage; body?: unknown } = {};
    const port = await application((request, response) => {
      void text(request).then((body) => {
        got.request = request;
        got.body = JSON.parse(body);
        response.writeHead(204).end();
      });
    });
    await sender().send(webhook(`http://ann:p%40ss@127.0.0.1:${port}/hook?x=1`));
    expect(got.request).toMatchObject({ method: 'POST', url: '/hook?x=1' });
    expect(got.request?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-patchbay-event-id': 'event-1',
      authorization: `Basic ${Buffer.from('ann:p@ss').toString('base64')}`,
    });
    expect(got.body).toEqual(webhook('').body);
  });

  it('fails on any status but 2xx, and follows no redirect', async () => {
    let status = 200;
    let requests = 0;
    const port = await application((_request, response) => {
      requests += 1;
      response.writeHead(status, { location: '/elsewhere' }).end('x'.repeat(100_000));
    });
    const url = `http://127.0.0.1:${port}/`;
    await sender().send(webhook(url));
    for (status of [302, 307, 404, 500]) {
      await expect(sender().send(webhook(url))).rejects.toMatchObject({ status });
    }
    expect(requests).toBe(5);
  });

  it('fails when the application does not answer in time', async () => {
    const port = await application(() => undefined);
    const impatient = sender({ timeoutMs: 50 });
    const sending = impatient.send(webhook(`http://127.0.0.1:${port}/`));
    await expect(sending).rejects.toThrow('timeout');
    await expect(sending).rejects.toBeInstanceOf(WebhookTimeoutError);
  });

  it('is delivered once the status is there, without waiting for the end of an endless answer', async () => {
    let closed = (): void => undefined;
    const brokenOff = new Promise<void>((resolve) => (closed = resolve));
    const port = await application((_request, response) => {
      const timer = setInterval(() => response.write('.'), 5);
      response.on('close', () => {
        clearInterval(timer);
        closed();
      });
    });
    await sender({ timeoutMs: 100 }).send(webhook(`http://127.0.0.1:${port}/`));
    await brokenOff;
  });

  it('never reaches an address that is denied, by number or by name', async () => {
    let requests = 0;
    const port = await application((_request, response) => {
      requests += 1;
      response.end();
    });
    const targets = { deny: ['127.0.0.0/8'] };
    const resolve: Resolve = (_name, _options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }]);
    const guarded = sender({ targets, resolve });
    for (const host of ['127.0.0.1', '127.1', 'name.example']) {
      await expect(guarded.send(webhook(`http://${host}:${port}/`))).rejects.toThrow('must not connect');
    }
    await sender({ resolve }).send(webhook(`http://name.example:${port}/`));
    expect(requests).toBe(1);
  });
});
