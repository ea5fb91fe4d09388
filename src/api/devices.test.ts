import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DtmfDigits, PatchbayError } from '../core/index.js';
import { TestDevice } from './testing/device.js';
import { ACCOUNT, basic, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startApi();
});
afterAll(() => gateway.stop());

const participant = (): string => gateway.core.createParticipant(ACCOUNT.id, {}).participant.id;

const headers = { 'content-type': 'application/json' };
const send = (id: string, body?: object): Promise<Response> =>
  gateway.ask(`/participants/${id}/device/dtmf`, {
    method: 'POST',
    ...(body && { headers, body: JSON.stringify(body) }),
  });

async function refused(response: Response): Promise<unknown[]> {
  const { reason } = (await response.json()) as { reason: string };
  return [response.status, reason];
}

describe('a device', () => {
  it('has the codecs and the encryption of each direction', async () => {
    const id = participant();
    const device = new TestDevice(gateway.core, id, { kind: 'phone' });
    const shown = async (): Promise<object> =>
      (await (await gateway.ask(`/participants/${id}/device`)).json()) as object;
    expect(await shown()).not.toHaveProperty('received');
    const received = { codecs: ['G722'], encryption: 'AES_CM_128_HMAC_SHA1_80' };
    const sent = { codecs: ['PCMU'], encryption: 'AES_CM_128_HMAC_SHA1_80' };
    device.formats = { received, sent };
    expect(await shown()).toMatchObject({ received, sent });
  });
});

describe('the quality of a device', () => {
  it('is absent until it was measured, and then as it was measured last', async () => {
    const id = participant();
    const { connection } = new TestDevice(gateway.core, id, { kind: 'phone' });
    const shown = async (): Promise<object> =>
      (await (await gateway.ask(`/participants/${id}/device`)).json()) as object;
    expect(await shown()).not.toHaveProperty('quality');
    const sent = { packets: 99, roundTripMs: 30.5 };
    connection.measured({ received: { packets: 0 }, sent: { packets: 3 } });
    connection.measured({ received: { packets: 100, lost: 3, mos: 4.12 }, sent });
    expect(await shown()).toMatchObject({
      quality: { received: { packets: 100, lost: 3, mos: 4.12 }, sent },
    });
  });
});

describe('a stream', () => {
  it('says whether somebody speaks in it, once somebody has', async () => {
    const { id } = gateway.core.createParticipant(ACCOUNT.id, { publishPermissions: ['audio'] }).participant;
    const { connection } = new TestDevice(gateway.core, id, { kind: 'phone' });
    const shown = async (): Promise<unknown> =>
      ((await (await gateway.ask(`/participants/${id}/device`)).json()) as { streams: unknown }).streams;
    const stream = { streamId: 's', mediaTypes: ['AUDIO'] };
    connection.publish([{ streamId: 's', mediaTypes: ['audio'] }]);
    expect(await shown()).toEqual([stream]);
    connection.speaking('s', true, -20.04);
    connection.speaking('another', true, -20);
    expect(await shown()).toEqual([{ ...stream, speaking: true, levelDb: -20 }]);
    connection.speaking('s', true, -30);
    expect(await shown()).toEqual([{ ...stream, speaking: true, levelDb: -20 }]);
    // A media host that takes over does not know the level yet.
    connection.speaking('s', false);
    expect(await shown()).toEqual([{ ...stream, speaking: false, levelDb: -20 }]);
    connection.speaking('s', true, -20);
    connection.speaking('s', false, -21);
    expect(await shown()).toEqual([{ ...stream, speaking: false, levelDb: -21 }]);
    connection.publish([]);
    connection.publish([{ streamId: 's', mediaTypes: ['audio'] }]);
    expect(await shown()).toEqual([stream]);
  });
});

describe('DTMF', () => {
  it('goes to the device as requested', async () => {
    const id = participant();
    const taken: DtmfDigits[] = [];
    const sendDtmf = (dtmf: DtmfDigits): Promise<void> => Promise.resolve(void taken.push(dtmf));
    new TestDevice(gateway.core, id, { kind: 'phone' }, { sendDtmf });
    const longest = { digits: '0123456789*#ABCD'.repeat(2), durationMs: 2000, gapMs: 60 };
    for (const body of [{ digits: '1' }, longest]) {
      const response = await send(id, body);
      expect([response.status, await response.text()]).toEqual([204, '']);
    }
    expect(taken).toEqual([{ digits: '1' }, longest]);
  });

  it('is 404 without a device, and for a participant of another account', async () => {
    expect(await refused(await send(participant(), { digits: '1' }))).toEqual([
      404,
      'PATCHBAY_DEVICE_NOT_FOUND',
    ]);
    const { participant: theirs } = gateway.core.createParticipant(OTHER_ACCOUNT.id, {});
    const device = new TestDevice(gateway.core, theirs.id, {}, { sendDtmf: () => Promise.resolve() });
    expect(await refused(await send(theirs.id, { digits: '1' }))).toEqual([
      404,
      'PATCHBAY_PARTICIPANT_NOT_FOUND',
    ]);
    const foreign = await gateway.ask(`/participants/${theirs.id}/device/dtmf`, {
      method: 'POST',
      headers: { ...headers, authorization: basic(OTHER_ACCOUNT) },
      body: '{"digits":"1"}',
    });
    expect(foreign.status).toBe(401);
    device.connection.end('left');
  });

  it('and headers for the BYE are 409 for a device that cannot send them', async () => {
    const id = participant();
    new TestDevice(gateway.core, id);
    expect(await refused(await send(id, { digits: '1' }))).toEqual([409, 'PATCHBAY_DEVICE_CANNOT']);
    const init = { method: 'PATCH', headers, body: '{"byeHeaders":{}}' };
    const response = await gateway.ask(`/participants/${id}/device`, init);
    expect(await refused(response)).toEqual([409, 'PATCHBAY_DEVICE_CANNOT']);
  });

  it('is 429 when the device has no room for the digits', async () => {
    const id = participant();
    const sendDtmf = (): Promise<void> =>
      Promise.reject(new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', 'Too many digits wait.'));
    new TestDevice(gateway.core, id, { kind: 'phone' }, { sendDtmf });
    expect(await refused(await send(id, { digits: '1' }))).toEqual([429, 'PATCHBAY_TOO_MANY_REQUESTS']);
  });

  it.each([
    [undefined],
    [{}],
    [{ digits: '' }],
    [{ digits: '1'.repeat(33) }],
    [{ digits: '1,2' }],
    [{ digits: '1\n' }],
    [{ digits: 'a' }],
    [{ digits: 12 }],
    [{ digits: '1', durationMs: 39 }],
    [{ digits: '1', durationMs: 2001 }],
    [{ digits: '1', durationMs: 50.5 }],
    [{ digits: '1', gapMs: 59 }],
    [{ digits: '1', gapMs: '100' }],
    [{ digits: '1', volume: 3 }],
  ])('is 400 for %o', async (body) => {
    const id = participant();
    const taken: DtmfDigits[] = [];
    const sendDtmf = (dtmf: DtmfDigits): Promise<void> => Promise.resolve(void taken.push(dtmf));
    new TestDevice(gateway.core, id, { kind: 'phone' }, { sendDtmf });
    expect(await refused(await send(id, body))).toEqual([400, 'PATCHBAY_BAD_REQUEST']);
    expect(taken).toEqual([]);
  });
});
