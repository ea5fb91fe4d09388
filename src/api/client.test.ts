import { DeviceApiVersionEnum, PublishPermissionEnum } from '@bandwidth/webrtc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startApi();
});
afterAll(() => gateway.stop());

const createSession = async (tag?: string) =>
  (await gateway.client.createSession(ACCOUNT.id, tag === undefined ? {} : { tag })).result.id!;
const createParticipant = async () =>
  (await gateway.client.createParticipant(ACCOUNT.id, {})).result.participant!.id!;

/** The client's error. It is not an instance of the `ApiError` that the package exports. */
async function failure(request: () => Promise<unknown>): Promise<{ statusCode: number; result: unknown }> {
  const error = await request().then(
    () => new Error('It was answered with a success.'),
    (reason: unknown) => reason as Error & { statusCode: number; result: unknown },
  );
  if ('statusCode' in error) return error;
  throw error;
}

describe("Bandwidth's client, unmodified", () => {
  it('creates, gets and deletes a session', async () => {
    const created = await gateway.client.createSession(ACCOUNT.id, { tag: 'standup' });
    expect(created.statusCode).toBe(200);
    expect(created.result).toEqual({ id: expect.any(String) as string, tag: 'standup' });
    const id = created.result.id!;
    expect((await gateway.client.getSession(ACCOUNT.id, id)).result).toEqual({ id, tag: 'standup' });
    expect((await gateway.client.deleteSession(ACCOUNT.id, id)).statusCode).toBe(204);
    expect((await failure(() => gateway.client.getSession(ACCOUNT.id, id))).statusCode).toBe(404);
  });

  it('creates a session whose talkers keep their levels', async () => {
    const request = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const created = await gateway.ask('/sessions', { ...request, body: '{"levelling":false}' });
    const session = (await created.json()) as { id: string };
    expect(session).toMatchObject({ levelling: false });
    expect(await (await gateway.ask(`/sessions/${session.id}`)).json()).toMatchObject({ levelling: false });
    const wrong = await gateway.ask('/sessions', { ...request, body: '{"levelling":"maybe"}' });
    expect(wrong.status).toBe(400);
  });

  it('creates a participant whose noise is suppressed, changes that, and is refused when all places are taken', async () => {
    const send = (method: string, path: string, body: object): Promise<Response> =>
      gateway.ask(path, {
        method,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    const created = async (body: object): Promise<{ participant: { id: string } }> =>
      (await (await send('POST', '/participants', body)).json()) as { participant: { id: string } };
    const { participant: quiet } = await created({ noiseSuppression: true });
    const { participant: other } = await created({});
    const { participant: loud } = await created({ noiseSuppression: false });
    expect(quiet).toMatchObject({ noiseSuppression: true });
    expect(other).not.toHaveProperty('noiseSuppression');
    for (let i = 0; i < 4; i += 1) await created({ noiseSuppression: true });
    const refused = await send('PATCH', `/participants/${loud.id}`, { noiseSuppression: true });
    expect(refused.status).toBe(409);
    expect(await refused.json()).toMatchObject({ reason: 'PATCHBAY_NOISE_SUPPRESSION_FULL' });
    expect((await send('POST', '/participants', { noiseSuppression: true })).status).toBe(409);
    expect((await send('PATCH', `/participants/${quiet.id}`, {})).status).toBe(204);
    expect((await send('PATCH', `/participants/${quiet.id}`, { noiseSuppression: false })).status).toBe(204);
    expect((await send('PATCH', `/participants/${loud.id}`, { noiseSuppression: true })).status).toBe(204);
    expect(await (await gateway.ask(`/participants/${loud.id}`)).json()).toMatchObject({
      noiseSuppression: true,
    });
    expect((await send('PATCH', `/participants/${loud.id}`, { noiseSuppression: 'x' })).status).toBe(400);
    expect((await send('PATCH', '/participants/nobody', { noiseSuppression: true })).status).toBe(404);
  });

  it('creates a session and a participant without a body', async () => {
    const session = await gateway.client.createSession(ACCOUNT.id);
    expect(session.result).toEqual({ id: session.result.id });
    const { result } = await gateway.client.createParticipant(ACCOUNT.id);
    expect(result.participant).toMatchObject({ sessions: [], subscriptions: {}, deviceApiVersion: 'V3' });
    expect(result.participant).not.toHaveProperty('tag');
    expect(result.token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it('creates, gets and deletes a participant, and gets its token once', async () => {
    const wanted = {
      callbackUrl: 'https://app.example/events',
      publishPermissions: [PublishPermissionEnum.AUDIO, PublishPermissionEnum.VIDEO],
      tag: 'moderator',
      deviceApiVersion: DeviceApiVersionEnum.V3,
    };
    const { participant, token } = (await gateway.client.createParticipant(ACCOUNT.id, wanted)).result;
    expect(participant).toEqual({ ...wanted, id: participant!.id, sessions: [], subscriptions: {} });
    const id = participant!.id!;
    const got = await gateway.client.getParticipant(ACCOUNT.id, id);
    expect(got.result).toEqual(participant);
    expect(got.body).not.toContain(token);
    expect((await gateway.client.deleteParticipant(ACCOUNT.id, id)).statusCode).toBe(204);
    expect((await failure(() => gateway.client.getParticipant(ACCOUNT.id, id))).statusCode).toBe(404);
  });

  it('lists nobody in an empty session, and no subscriptions, without throwing', async () => {
    const session = await createSession();
    const participant = await createParticipant();
    expect((await gateway.client.listSessionParticipants(ACCOUNT.id, session)).result).toEqual([]);
    await gateway.client.addParticipantToSession(ACCOUNT.id, session, participant);
    const subscriptions = await gateway.client.getParticipantSubscriptions(ACCOUNT.id, session, participant);
    expect(subscriptions).toMatchObject({ statusCode: 200, result: {} });
  });

  it('adds a participant without a body, with subscriptions, and once more', async () => {
    const session = await createSession();
    const participant = await createParticipant();
    const { client } = gateway;
    const subscriptions = async () =>
      (await client.getParticipantSubscriptions(ACCOUNT.id, session, participant)).result;

    const added = await client.addParticipantToSession(ACCOUNT.id, session, participant);
    expect(added.statusCode).toBe(204);
    expect(await subscriptions()).toEqual({});
    await client.addParticipantToSession(ACCOUNT.id, session, participant, { sessionId: session });
    expect(await subscriptions()).toEqual({ sessionId: session });
    await client.addParticipantToSession(ACCOUNT.id, session, participant);
    expect(await subscriptions()).toEqual({ sessionId: session });

    const members = (await client.listSessionParticipants(ACCOUNT.id, session)).result;
    expect(members).toMatchObject([
      { id: participant, sessions: [session], subscriptions: { sessionId: session } },
    ]);
  });

  it('replaces and clears subscriptions', async () => {
    const session = await createSession();
    const participant = await createParticipant();
    const { client } = gateway;
    await client.addParticipantToSession(ACCOUNT.id, session, participant);
    const some = {
      sessionId: session,
      participants: [{ participantId: 'not-here-yet' }, { participantId: 'x', streamAliases: ['screen'] }],
    };
    const updated = await client.updateParticipantSubscriptions(ACCOUNT.id, session, participant, some);
    expect(updated.statusCode).toBe(204);
    const got = () => client.getParticipantSubscriptions(ACCOUNT.id, session, participant);
    expect((await got()).result).toEqual(some);
    await client.updateParticipantSubscriptions(ACCOUNT.id, session, participant);
    expect((await got()).result).toEqual({});
  });

  it('removes a participant from its session, with its subscriptions', async () => {
    const session = await createSession();
    const participant = await createParticipant();
    const { client } = gateway;
    await client.addParticipantToSession(ACCOUNT.id, session, participant, { sessionId: session });
    const removed = await client.removeParticipantFromSession(ACCOUNT.id, session, participant);
    expect(removed.statusCode).toBe(204);
    expect((await client.getParticipant(ACCOUNT.id, participant)).result).toMatchObject({
      sessions: [],
      subscriptions: {},
    });
    const again = () => client.removeParticipantFromSession(ACCOUNT.id, session, participant);
    expect((await failure(again)).statusCode).toBe(404);
  });

  it('gets 409 for a second session until the participant has left the first', async () => {
    const first = await createSession();
    const second = await createSession();
    const participant = await createParticipant();
    const { client } = gateway;
    await client.addParticipantToSession(ACCOUNT.id, first, participant);
    const refused = await failure(() => client.addParticipantToSession(ACCOUNT.id, second, participant));
    expect(refused).toMatchObject({ statusCode: 409, result: { reason: 'PATCHBAY_IN_OTHER_SESSION' } });
    await client.removeParticipantFromSession(ACCOUNT.id, first, participant);
    await client.addParticipantToSession(ACCOUNT.id, second, participant);
    expect((await client.listSessionParticipants(ACCOUNT.id, second)).result).toHaveLength(1);
  });

  it('gets the limit when it adds the 21st participant', async () => {
    const session = await createSession();
    const participants = await Promise.all(Array.from({ length: 21 }, createParticipant));
    for (const participant of participants.slice(0, 20)) {
      await gateway.client.addParticipantToSession(ACCOUNT.id, session, participant);
    }
    const refused = await failure(() =>
      gateway.client.addParticipantToSession(ACCOUNT.id, session, participants[20]!),
    );
    expect(refused).toMatchObject({
      statusCode: 409,
      result: { reason: 'PATCHBAY_SESSION_FULL', message: expect.stringContaining('20') as string },
    });
    expect((await gateway.client.listSessionParticipants(ACCOUNT.id, session)).result).toHaveLength(20);
  });

  it('gets 400 for a tag of 51 characters, but not for one of 50', async () => {
    const refused = [
      () => gateway.client.createSession(ACCOUNT.id, { tag: 'x'.repeat(51) }),
      () => gateway.client.createParticipant(ACCOUNT.id, { tag: 'x'.repeat(51) }),
    ];
    for (const request of refused) {
      expect(await failure(request)).toMatchObject({
        statusCode: 400,
        result: { error: expect.stringContaining('50') as string, reason: 'PATCHBAY_BAD_REQUEST' },
      });
    }
    const tag = '😀'.repeat(50);
    expect((await gateway.client.createSession(ACCOUNT.id, { tag })).result.tag).toBe(tag);
  });

  it('gets 400 for subscriptions to another session than the one in the path', async () => {
    const session = await createSession();
    const participant = await createParticipant();
    const request = () =>
      gateway.client.addParticipantToSession(ACCOUNT.id, session, participant, { sessionId: 'another' });
    expect((await failure(request)).statusCode).toBe(400);
    expect((await gateway.client.listSessionParticipants(ACCOUNT.id, session)).result).toEqual([]);
  });

  it('gets 401 for a wrong password, a wrong user and another account', async () => {
    const strangers = [
      { client: gateway.clientOf({ ...ACCOUNT, password: 'wrong' }), account: ACCOUNT.id },
      { client: gateway.clientOf({ ...ACCOUNT, user: 'wrong' }), account: ACCOUNT.id },
      { client: gateway.clientOf(OTHER_ACCOUNT), account: ACCOUNT.id },
      { client: gateway.clientOf(ACCOUNT), account: OTHER_ACCOUNT.id },
      { client: gateway.clientOf(ACCOUNT), account: 'nobody' },
    ];
    for (const { client, account } of strangers) {
      const error = await failure(() => client.createSession(account, {}));
      expect(error).toMatchObject({ statusCode: 401, result: { message: 'Unauthorized', code: 401 } });
    }
  });

  it('cannot reach what is in another account', async () => {
    const session = await createSession();
    const participant = await createParticipant();
    const other = gateway.clientOf(OTHER_ACCOUNT);
    const requests = [
      () => other.getSession(OTHER_ACCOUNT.id, session),
      () => other.deleteSession(OTHER_ACCOUNT.id, session),
      () => other.getParticipant(OTHER_ACCOUNT.id, participant),
      () => other.deleteParticipant(OTHER_ACCOUNT.id, participant),
      () => other.addParticipantToSession(OTHER_ACCOUNT.id, session, participant),
    ];
    for (const request of requests) expect((await failure(request)).statusCode).toBe(404);
    expect((await gateway.client.getSession(ACCOUNT.id, session)).statusCode).toBe(200);
  });
});
