import { readFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { makeCertificate } from '../../../test/support/certificate.js';
import { systemClock } from '../../shared/index.js';
import { type FinalAnswer, OutgoingCall, SipSocket } from './index.js';

let server: Server;
afterEach(() => void server.close());

/** A SIP server that refuses every INVITE, in pieces as TCP may bring them. */
function refuse(socket: Socket): void {
  let text = '';
  socket.on('data', (piece: Buffer) => {
    text += piece.toString();
    if (!text.startsWith('INVITE') || !text.includes('v=offer')) return;
    const lines = text.split('\r\n').filter((line) => /^(?:Via|From|To|Call-ID|CSeq):/.test(line));
    text = '';
    const response = ['SIP/2.0 486 Busy Here', ...lines, 'Content-Length: 0', '', ''].join('\r\n');
    socket.write(response.slice(0, 20));
    setImmediate(() => socket.write(response.slice(20)));
  });
}

async function listen(transport: 'tcp' | 'tls'): Promise<number> {
  if (transport === 'tcp') server = createTcpServer(refuse);
  else {
    const { certFile, keyFile, remove } = makeCertificate();
    server = createTlsServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, refuse);
    remove();
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('a SIP server that takes calls by a connection alone', () => {
  it.each(['tcp', 'tls'] as const)('is called by %s', async (transport) => {
    const socket = await SipSocket.open({ transport, host: '127.0.0.1', port: await listen(transport) });
    const refused = new Promise<FinalAnswer>((onRefused) => {
      const call = new OutgoingCall({
        socket,
        callId: 'the-call',
        requestUri: `sip:127.0.0.1;transport=${transport}`,
        from: 'test',
        userToUser: '',
        userAgent: 'test',
        clock: systemClock,
        handlers: {
          onRinging: () => undefined,
          onAnswered: () => undefined,
          onRefused,
          onHungUp: () => undefined,
          describe: () => '',
        },
      });
      call.invite('v=offer');
    });
    expect(await refused).toEqual({ status: 486, reason: 'Busy Here' });
    socket.close();
  });

  it('is gone: that is an error, or ends the call', async () => {
    const port = await listen('tcp');
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const socket = await SipSocket.open({ transport: 'tcp', host: '127.0.0.1', port });
    const lost = new Promise<Error>((resolve) => (socket.onLost = resolve));
    (await accepted)[0].destroy();
    expect((await lost).message).toContain('closed');
    socket.close();
    server.close();
    await expect(SipSocket.open({ transport: 'tcp', host: '127.0.0.1', port })).rejects.toThrow(
      'ECONNREFUSED',
    );
  });
});
