import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, expect, it } from 'vitest';
import { refuseUpgrade, Upgrades } from './upgrades.js';

const server = createServer();
const upgrades = new Upgrades(server);

afterEach(() => void server.close());

async function answerTo(path: string): Promise<string> {
  if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  return text(socket);
}

it('gives an upgrade request to whoever serves its path, and 404 for all others', async () => {
  const serve = (served: string) =>
    upgrades.serve(({ request, stream }) => {
      if (request.url !== served) return false;
      refuseUpgrade(stream, '400 Bad Request', { message: `${served}: ü`, headers: 'X-Served: yes\r\n' });
      return true;
    });
  const stop = serve('/one');
  serve('/two');
  const answer = await answerTo('/two');
  expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\nConnection: close\r\nX-Served: yes\r\n/);
  expect(answer).toMatch(/Content-Length: 8\r\n\r\n\/two: ü$/);
  expect(await answerTo('/three')).toMatch(
    /^HTTP\/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0/,
  );
  expect(await answerTo('/one')).toContain(' 400 ');
  stop();
  expect(await answerTo('/one')).toContain(' 404 ');
});
