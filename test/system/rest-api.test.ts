import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  ApiController,
  Client,
  DeviceApiVersionEnum,
  Environment,
  PublishPermissionEnum,
} from '@bandwidth/webrtc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { placeCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const ACCOUNT = { id: '7700000', user: 'team', password: 'pass:word' };
const OTHER = { id: '7700001', user: 'others', password: 'secret' };
const env = {
  PATCHBAY_ACCOUNTS: [ACCOUNT, OTHER].map(({ id, user, password }) => `${id}:${user}:${password}`).join(','),
  // A media host would outlive the gateway, and the device would not crash with it.
  PATCHBAY_MEDIA_HOSTS: '0',
};

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway({ env });
});
afterAll(async () => {
  const { dataDir } = gateway;
  await gateway.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Bandwidth's published client, unmodified. */
function clientOf({ user, password }: { user: string; password: string } = ACCOUNT): ApiController {
  return new ApiController(
    new Client({
      environment: Environment.Custom,
      baseUrl: `${gateway.httpUrl}/v1`,
      basicAuthUserName: user,
      basicAuthPassword: password,
    }),
  );
}

async function ask(path: string, method = 'GET'): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${ACCOUNT.user}:${ACCOUNT.password}`).toString('base64')}`;
  return fetch(`${gateway.httpUrl}/v1/accounts/${ACCOUNT.id}${path}`, { method, headers: { authorization } });
}

/** A browser's WebSocket without a browser: enough for a connected device. */
async function connectDevice(participantId: string, token: string): Promise<WebSocket> {
  const socket = new WebSocket(
    `${gateway.wsUrl}/v3/?token=${token}&client=browser&sdkVersion=0.12.0&uniqueId=page-1`,
  );
  await once(socket, 'open');
  const ask = { jsonrpc: '2.0', id: 1, method: 'setMediaPreferences', params: { protocol: 'WEBRTC' } };
  socket.send(JSON.stringify(ask));
  const connected = async () => (await deviceOf(participantId)).status === 200;
  await until('the device to be connected', connected, { withinMs: 20_000 });
  return socket;
}

const deviceOf = (participantId: string) => ask(`/participants/${participantId}/device`);

const status = (request: Promise<unknown>): Promise<number> =>
  request.then(
    () => 200,
    (error: unknown) => (error as { statusCode: number }).statusCode,
  );

describe("Bandwidth's client", () => {
  it('can call every endpoint of a gateway as it does the original', async () => {
    const client = clientOf();
    const session = (await client.createSession(ACCOUNT.id, { tag: 'all' })).result.id!;
    const { participant, token } = (
      await client.createParticipant(ACCOUNT.id, {
        tag: 'guest',
        callbackUrl: 'http://127.0.0.1:9/events',
        publishPermissions: [PublishPermissionEnum.AUDIO],
        deviceApiVersion: DeviceApiVersionEnum.V3,
      })
    ).result;
    expect(token!.length).toBeLessThanOrEqual(186);
    const id = participant!.id!;
    const subscriptions = { sessionId: session, participants: [{ participantId: 'later' }] };

    await client.addParticipantToSession(ACCOUNT.id, session, id);
    await client.updateParticipantSubscriptions(ACCOUNT.id, session, id, subscriptions);
    const got = await client.getParticipantSubscriptions(ACCOUNT.id, session, id);
    expect(got.result).toEqual(subscriptions);
    expect((await client.listSessionParticipants(ACCOUNT.id, session)).result).toMatchObject([
      { id, tag: 'guest', sessions: [session], subscriptions },
    ]);
    expect((await client.getSession(ACCOUNT.id, session)).result).toEqual({ id: session, tag: 'all' });
    expect((await client.getParticipant(ACCOUNT.id, id)).result.publishPermissions).toEqual(['AUDIO']);
    await client.removeParticipantFromSession(ACCOUNT.id, session, id);
    await client.deleteSession(ACCOUNT.id, session);
    await client.deleteParticipant(ACCOUNT.id, id);
    expect(await status(client.getSession(ACCOUNT.id, session))).toBe(404);
    expect(await status(client.getParticipant(ACCOUNT.id, id))).toBe(404);
  });

  it('cannot reach other accounts', async () => {
    const session = (await clientOf().createSession(ACCOUNT.id)).result.id!;
    expect(await status(clientOf(OTHER).getSession(ACCOUNT.id, session))).toBe(401);
    expect(await status(clientOf(OTHER).getSession(OTHER.id, session))).toBe(404);
    expect(await status(clientOf({ ...ACCOUNT, password: 'x' }).getSession(ACCOUNT.id, session))).toBe(401);
  });
});

describe('a connected device', () => {
  it('is shown, has a usage record, and can be disconnected without deleting its participant', async () => {
    const client = clientOf();
    const { participant, token } = (await client.createParticipant(ACCOUNT.id, { tag: 'shown' })).result;
    const id = participant!.id!;
    const socket = await connectDevice(id, token!);
    expect(await (await deviceOf(id)).json()).toMatchObject({
      kind: 'browser',
      externalId: 'page-1',
      streams: [],
      delivery: [],
    });
    const closed = once(socket, 'close');
    expect((await ask(`/participants/${id}/device`, 'DELETE')).status).toBe(204);
    expect((await closed)[0]).toBe(1000);
    expect((await deviceOf(id)).status).toBe(404);
    expect((await client.getParticipant(ACCOUNT.id, id)).statusCode).toBe(200);
    const report = (await (await ask('/usage?tag=shown')).json()) as { items: unknown };
    expect(report.items).toMatchObject([{ participantId: id, kind: 'browser', endReason: 'disconnected' }]);
  });
});

describe('the events of a session', () => {
  it('tell who reads them how loud a phone is', async () => {
    const client = clientOf();
    const session = (await client.createSession(ACCOUNT.id)).result.id!;
    const { participant, token } = (
      await client.createParticipant(ACCOUNT.id, { publishPermissions: [PublishPermissionEnum.AUDIO] })
    ).result;
    await client.addParticipantToSession(ACCOUNT.id, session, participant!.id!);
    const call = await placeCall({ sipPort: gateway.sipPort, token: token!, tone: 440 });
    try {
      const { body } = await ask(`/events?sessionId=${session}`);
      const level = await firstOf(body as unknown as AsyncIterable<Uint8Array>, 'levels');
      expect(level).toMatchObject({ sessionId: session, levels: [{ participantId: participant!.id }] });
      const [{ levelDb }] = (level as { levels: [{ levelDb: number }] }).levels;
      expect(levelDb).toBeGreaterThan(-40);
      await call.hangUp();
    } finally {
      await call.end();
    }
  });
});

/** Name and value of a line of server-sent events. */
const splitField = (line: string): [string, string] => {
  const [name = '', value = ''] = line.split(/: ?(.*)/s);
  return [name, value];
};

/** Reads server-sent events up to the first of a type. */
async function firstOf(body: AsyncIterable<Uint8Array>, type: string): Promise<unknown> {
  let text = '';
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString();
    const blocks = text.split('\n\n').slice(0, -1);
    const fields = blocks.map((block) => new Map(block.split('\n').map((line) => splitField(line))));
    const data = fields.find((one) => one.get('event') === type)?.get('data');
    if (data !== undefined) return JSON.parse(data);
  }
  throw new Error(`There was no ${type} in ${text}`);
}

describe('after kill -9 and a restart', () => {
  it('everything that was answered is still there', async () => {
    const received: { event: string; participantId: string }[] = [];
    const application = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        received.push(JSON.parse(body) as (typeof received)[number]);
        response.writeHead(204).end();
      });
    });
    // The application does not answer yet.
    application.listen(0, '127.0.0.1');
    await once(application, 'listening');
    const { port } = application.address() as AddressInfo;
    await new Promise((done) => application.close(done));

    const client = clientOf();
    const session = (await client.createSession(ACCOUNT.id, { tag: 'kept' })).result.id!;
    const wanted = { tag: 'survivor', callbackUrl: `http://127.0.0.1:${port}/events` };
    const { participant, token } = (await client.createParticipant(ACCOUNT.id, wanted)).result;
    const id = participant!.id!;
    const subscriptions = {
      sessionId: session,
      participants: [{ participantId: 'later', streamAliases: ['a'] }],
    };
    await client.addParticipantToSession(ACCOUNT.id, session, id, subscriptions);
    const socket = await connectDevice(id, token!);
    const lost = once(socket, 'close');
    const others = await Promise.all(
      Array.from(
        { length: 50 },
        async () => (await client.createParticipant(ACCOUNT.id)).result.participant!.id!,
      ),
    );
    await gateway.kill();
    await lost;

    application.listen(port, '127.0.0.1');
    gateway = await startGateway({ env, dataDir: gateway.dataDir });
    const again = clientOf();
    expect((await again.getSession(ACCOUNT.id, session)).result).toEqual({ id: session, tag: 'kept' });
    expect((await again.listSessionParticipants(ACCOUNT.id, session)).result).toMatchObject([
      { id, ...wanted, sessions: [session], subscriptions },
    ]);
    for (const other of others) {
      expect((await again.getParticipant(ACCOUNT.id, other)).statusCode).toBe(200);
    }
    const report = (await (await ask('/usage?tag=kept')).json()) as { items: unknown };
    expect(report.items).toMatchObject([{ participantId: id, sessionTag: 'kept', endReason: 'crashed' }]);
    await until('the webhooks', () => received.length >= 3, { withinMs: 20_000 });
    expect(received.map(({ event, participantId }) => [event, participantId])).toEqual([
      ['onConnect', id],
      ['onDisconnect', id],
      ['onLeave', id],
    ]);
    (await connectDevice(id, token!)).close();
    application.close();
  });
});
