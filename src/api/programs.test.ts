import { afterEach, describe, expect, it, vi } from 'vitest';
import { newParticipant } from '../core/testing/index.js';
import { PatchbayError } from '../core/index.js';
import { ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

const SECRET_URL = 'wss://agent.example/talk?key=s3cret';
const VIEW = {
  dialect: 'patchbay',
  rate: 16000,
  channels: 'mix',
  host: 'agent.example',
  state: 'connecting',
} as const;

let gateway: TestGateway;
afterEach(() => gateway.stop());

async function start() {
  const programs = {
    // What a careless implementation might add is not shown either.
    connect: vi.fn(() => Promise.resolve({ ...VIEW, url: SECRET_URL, headers: { authorization: 's3cret' } })),
    program: vi.fn(() => ({ ...VIEW, url: SECRET_URL })),
    disconnect: vi.fn(() => Promise.resolve()),
  };
  gateway = await startApi({ programs });
  const id = newParticipant(gateway.core);
  const ask = (method: string, body?: object) =>
    gateway.ask(`/participants/${id}/program`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  return { programs, id, ask };
}

describe('the program of a participant', () => {
  it('is connected, shown without its secrets, and disconnected', async () => {
    const { programs, id, ask } = await start();
    const wanted = {
      url: SECRET_URL,
      dialect: 'patchbay',
      rate: 16000,
      headers: { Authorization: 'Bearer s3cret' },
    };
    const put = await ask('PUT', wanted);
    expect([put.status, await put.json()]).toEqual([200, VIEW]);
    expect(programs.connect).toHaveBeenCalledWith(ACCOUNT.id, id, wanted);
    const got = await ask('GET');
    expect([got.status, await got.json()]).toEqual([200, VIEW]);
    expect((await ask('DELETE')).status).toBe(204);
    expect(programs.disconnect).toHaveBeenCalledWith(ACCOUNT.id, id);
    expect(gateway.logged.join()).not.toContain('s3cret');
  });

  it.each([
    [undefined],
    [{}],
    [{ url: SECRET_URL }],
    [{ url: SECRET_URL, dialect: 'telnyx' }],
    [{ url: SECRET_URL, dialect: 'patchbay', rate: 11025 }],
    [{ url: SECRET_URL, dialect: 'patchbay', channels: 'stereo' }],
    [{ url: 'x'.repeat(2049), dialect: 'patchbay' }],
    [{ url: SECRET_URL, dialect: 'patchbay', headers: { 'bad name': 'x' } }],
    [{ url: SECRET_URL, dialect: 'patchbay', headers: { good: 'line\nbreak' } }],
    [{ url: SECRET_URL, dialect: 'patchbay', headers: { good: 7 } }],
  ])('is refused with 400 for %o', async (body) => {
    const { programs, ask } = await start();
    expect((await ask('PUT', body)).status).toBe(400);
    expect(programs.connect).not.toHaveBeenCalled();
  });

  it('is refused with 409 while the participant has a device', async () => {
    const { programs, ask } = await start();
    programs.connect.mockRejectedValue(new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'It has a device.'));
    const answer = await ask('PUT', { url: SECRET_URL, dialect: 'twilio' });
    expect([answer.status, await answer.json()]).toMatchObject([
      409,
      { reason: 'PATCHBAY_ALREADY_CONNECTED' },
    ]);
  });
});
