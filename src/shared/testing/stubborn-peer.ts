import { once } from 'node:events';
import { connect } from 'node:net';

const KNOCK_EVERY_MS = 20;

/**
 * Sends `request` and never closes its side. Resolves with the answer once the other end has freed its socket, which
 * shows in that it resets the connection when more data arrive.
 */
export async function answerAndReset(port: number, request: string): Promise<string> {
  const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let answer = '';
  peer.on('data', (data: Buffer) => (answer += data.toString()));
  peer.on('error', () => undefined);
  // Not by `events.once`, which would reject with the error that comes first.
  const reset = new Promise((resolve) => peer.on('close', resolve));
  peer.write(request);
  await once(peer, 'end');
  const knocking = setInterval(() => peer.write('x'), KNOCK_EVERY_MS);
  await reset;
  clearInterval(knocking);
  return answer;
}
