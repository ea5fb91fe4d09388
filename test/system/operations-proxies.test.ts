import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { DEVELOPMENT_ACCOUNT, Rest } from '../support/rest.js';
import { hasProxy, type ProxyName, TlsProxy } from '../support/tls-proxy.js';

/** Not that of the proxies: what the gateway takes for the client's address. */
const CLIENT = '127.0.0.2';

/** The paths of the table in docs/operations.md. */
const PATHS = [
  ...readFileSync('docs/operations.md', 'utf8').matchAll(/^\| `(\/[^`]*)` +\| (yes|console|no) +\|/gm),
].map(([, path, publish]) => ({ path: path!, published: publish !== 'no' }));

/** What lies below those that are the beginnings of paths. */
const BELOW: Readonly<Record<string, string>> = {
  '/v1/': `/v1/accounts/${DEVELOPMENT_ACCOUNT.id}/sessions`,
  '/v3/': '/v3/?token=none',
  '/program/': '/program/?token=none',
  '/console/': '/console/iceServers',
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Whether the gateway answered: the proxies write no such header. */
const isByGateway = ({ headers }: Answer): boolean => headers['x-content-type-options'] === 'nosniff';

it('docs/operations.md says of all paths of the gateway whether to publish them', () => {
  expect(PATHS.filter(({ published }) => published).map(({ path }) => path)).toEqual(
    expect.arrayContaining(['/v1/', '/v3/', '/program/', '/', '/console/']),
  );
  expect(PATHS.filter(({ published }) => !published).map(({ path }) => path)).toEqual(
    expect.arrayContaining(['/metrics', '/docs', '/openapi.json', '/healthz', '/readyz']),
  );
});

const PROXIES: readonly ProxyName[] = ['nginx', 'haproxy'];
const titleOf = (name: ProxyName): string => (hasProxy(name) ? name : `${name}, which is not installed,`);

for (const name of PROXIES) {
  describe.skipIf(!hasProxy(name))(`${titleOf(name)} with the configuration of docs/operations.md`, () => {
    let gateway: TestGateway;
    let proxy: TlsProxy;

    beforeAll(async () => {
      gateway = await startGateway({ env: { PATCHBAY_TRUSTED_PROXIES: '127.0.0.1' } });
      proxy = await TlsProxy.start(name, gateway.httpPort);
    });
    afterAll(async () => {
      await proxy.stop();
      await gateway.stop();
    });

    async function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
      const { certificate: ca, port } = proxy;
      const asked = request({
        host: '127.0.0.1',
        localAddress: CLIENT,
        port,
        ca,
        path,
        method,
        headers,
        agent: false,
      });
      asked.end();
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      return { status: response.statusCode!, headers: response.headers, body: await text(response) };
    }

    const credentials = Buffer.from(`${DEVELOPMENT_ACCOUNT.user}:${DEVELOPMENT_ACCOUNT.password}`);
    const authorization = `Basic ${credentials.toString('base64')}`;
    const sessions = BELOW['/v1/']!;

    it('passes REST on, and the client by its address', async () => {
      // What a client writes itself counts for nothing.
      for (const forged of ['x-forwarded-for', 'forwarded']) {
        const said = forged === 'forwarded' ? 'for=192.0.2.66' : '192.0.2.66';
        const answer = await ask(sessions, { authorization, [forged]: said }, 'POST');
        expect(answer.status, answer.body).toBe(200);
        const requestId = answer.headers['x-request-id'];
        const line = await gateway.waitForLog((one) => one['requestId'] === requestId);
        expect(line).toMatchObject({ method: 'POST', path: sessions, address: CLIENT });
      }
    });

    it('passes the WebSockets of pages on', async () => {
      const { id, token } = await new Rest(gateway).participant();
      const query = new URLSearchParams({ token, client: 'browser', sdkVersion: '0.12.0', uniqueId: name });
      const socket = new WebSocket(`wss://127.0.0.1:${proxy.port}/v3/?${query.toString()}`, {
        ca: proxy.certificate,
        localAddress: CLIENT,
      });
      await once(socket, 'open');
      const answered = new Promise<object>((resolve) => {
        socket.on('message', (data: Buffer) => {
          const message = JSON.parse(data.toString()) as { readonly id?: unknown };
          if (message.id === 7) resolve(message);
        });
      });
      socket.send('{"jsonrpc":"2.0","id":7,"method":"setMediaPreferences","params":{"protocol":"WEBRTC"}}');
      expect(await answered).toMatchObject({ result: {} });
      // The gateway's own pings come through, so that no time-out of the proxy is reached.
      await once(socket, 'ping');
      const line = await gateway.waitForLog((one) => one.msg === 'browser connected');
      expect(line).toMatchObject({ participantId: id, address: CLIENT });
      socket.close();
      await once(socket, 'close');
    });

    it.each(PATHS)('publishes $path: $published', async ({ path, published }) => {
      const below = BELOW[path] ?? path;
      const answer = await ask(below);
      expect(isByGateway(answer), `${answer.status} ${answer.body}`).toBe(published);
      if (published) return;
      expect(answer.status).toBe(404);
      // It is there, for those who connect directly.
      expect((await fetch(gateway.httpUrl + path)).status).toBe(200);
    });

    it.each(['/v1/../metrics', '/v3/..%2fmetrics', '//metrics', '/console/../docs'])(
      'does not lead to what is private by %s',
      async (path) => {
        const { status, body } = await ask(path);
        expect(status).toBeGreaterThanOrEqual(400);
        expect(body).not.toMatch(/# HELP|swagger|"openapi"/);
      },
    );
  });
}
