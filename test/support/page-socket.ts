import { once } from 'node:events';
import { WebSocket } from 'ws';

/** How a page connects. */
export interface PageWay {
  /** The page's address. */
  readonly from?: string;
  /** Of the gateway, or of a proxy before it. */
  readonly port: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly uniqueId?: string;
}

/** A page's socket. */
export function pageSocket(
  token: string,
  { from = '127.0.0.1', port, headers = {}, uniqueId = 'page' }: PageWay,
) {
  const query = new URLSearchParams({ token, client: 'browser', sdkVersion: '0.12.0', uniqueId });
  const url = `ws://127.0.0.1:${port}/v3/?${query.toString()}`;
  const socket = new WebSocket(url, { localAddress: from, headers });
  socket.on('error', () => undefined);
  return socket;
}

/** The status that an upgrade gets: 101 or a refusal. */
export function upgraded(socket: WebSocket): Promise<number> {
  return new Promise((done) => {
    socket.once('open', () => done(101));
    socket.once('unexpected-response', (_request, { statusCode = 0 }) => {
      socket.terminate();
      done(statusCode);
    });
  });
}

/** The page leaves: its client closes the socket, and does not reconnect. */
export async function leave(socket: WebSocket): Promise<void> {
  const closed = once(socket, 'close');
  socket.close(1000);
  await closed;
}
