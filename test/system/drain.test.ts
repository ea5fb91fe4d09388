import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall, placeRefusedCall } from '../support/sipp.js';

const readiness = async (url: string): Promise<number> => (await fetch(`${url}/readyz`)).status;

describe('SIGTERM', () => {
  it('refuses new calls, lets calls in progress end by themselves, and exits with 0', async () => {
    const gateway = await startGateway({ env: { PATCHBAY_DRAIN_SECONDS: '30' } });
    const rest = new Rest(gateway);
    const session = await rest.session();
    const [first, second] = [await rest.member(session), await rest.member(session)];
    const call = await placeCall({ sipPort: gateway.sipPort, token: first.token });
    try {
      expect(await readiness(gateway.httpUrl)).toBe(200);
      const stopped = gateway.stop();
      await gateway.waitForLog((line) => line.msg === 'stopping');
      expect(await readiness(gateway.httpUrl)).toBe(503);
      const refusal = await placeRefusedCall({ sipPort: gateway.sipPort, token: second.token });
      expect(refusal.status).toBe(503);
      expect(Number(refusal.header('Retry-After'))).toBeGreaterThan(0);
      await call.hangUp();
      expect(await stopped).toBe(0);
      expect(gateway.log.at(-1)?.msg, 'the last line of the log').toBe('stopped');
    } finally {
      await call.end();
    }
  });

  it('hangs up remaining calls by BYE when the time is over, and does not wait for HTTP clients that send nothing', async () => {
    const gateway = await startGateway({ env: { PATCHBAY_DRAIN_SECONDS: '0' } });
    const clients = ['', 'GET /healthz HTTP/1.1\r\nHost:'].map((text) => {
      const socket = connect({ port: gateway.httpPort, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => undefined);
      socket.write(text);
      return socket;
    });
    await Promise.all(clients.map((socket) => once(socket, 'connect')));
    const rest = new Rest(gateway);
    const { token } = await rest.member(await rest.session());
    const call = await placeCall({
      sipPort: gateway.sipPort,
      token,
      then: (scenario) => scenario.expect(200).ack().waitForBye(),
    });
    try {
      const stopped = gateway.stop();
      expect((await call.hungUp()).header('Reason')).toContain('stopping');
      expect(await stopped).toBe(0);
    } finally {
      for (const socket of clients) socket.destroy();
      await call.end();
    }
  });
});
