import { afterEach, describe, expect, it } from 'vitest';
import { startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
afterEach(() => gateway.stop());

const UNKNOWN = '019aa000-0000-7000-8000-000000000000';

describe('GET /participants/{p}/iceServers', () => {
  it('answers with the servers made for that participant, and no other', async () => {
    gateway = await startApi({
      iceServers: (id) => [{ urls: ['turn:turn.example'], username: `1:${id}`, credential: 'c' }],
    });
    const { participant } = (await (await gateway.ask('/participants', { method: 'POST' })).json()) as {
      participant: { id: string };
    };
    const response = await gateway.ask(`/participants/${participant.id}/iceServers`);
    expect(await response.json()).toEqual({
      iceServers: [{ urls: ['turn:turn.example'], username: `1:${participant.id}`, credential: 'c' }],
    });
    expect((await gateway.ask(`/participants/${UNKNOWN}/iceServers`)).status).toBe(404);
    const stranger = await gateway.ask(`/participants/${participant.id}/iceServers`, {
      headers: { authorization: 'Basic bm86bm8=' },
    });
    expect(stranger.status).toBe(401);
  });

  it('answers with an empty list if no TURN server is configured', async () => {
    gateway = await startApi();
    const { participant } = (await (await gateway.ask('/participants', { method: 'POST' })).json()) as {
      participant: { id: string };
    };
    const response = await gateway.ask(`/participants/${participant.id}/iceServers`);
    expect(await response.json()).toEqual({ iceServers: [] });
  });
});
