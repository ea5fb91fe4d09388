import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEVELOPMENT_ACCOUNT } from '../support/rest.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

const LIMIT = { withinMs: 30_000 };

interface Step {
  readonly kind: string;
  readonly text: string;
  readonly event?: string;
  readonly response?: string;
  readonly isFault?: boolean;
  readonly deviceId?: string;
}

interface TestCall {
  readonly testCallId: string;
  readonly state: string;
  readonly participantId?: string;
  readonly toGateway?: { readonly heardBy: number };
  readonly problem?: { readonly code: string; readonly message: string };
  readonly steps: readonly Step[];
}

interface VoiceEvent {
  readonly eventType: string;
  readonly callId: string;
  readonly parentCallId?: string;
  readonly direction: string;
  readonly cause?: string;
  readonly tag?: string;
  readonly to: string;
  readonly from: string;
  readonly callUrl: string;
}

describe('a Voice API application, tried without a Voice API', () => {
  const stage = useStage();
  let application: Server;
  let url = '';
  const events: (VoiceEvent & { readonly path: string; readonly authorization?: string | undefined })[] = [];
  /** What the application answers, by path. */
  const answers = new Map<string, string | number>();

  beforeAll(async () => {
    application = createServer((request: IncomingMessage, response) => {
      void json(request).then((event) => {
        const { authorization } = request.headers;
        events.push({ ...(event as VoiceEvent), path: request.url!, authorization });
        const answer = answers.get(request.url!) ?? '<Response/>';
        if (typeof answer === 'number') response.writeHead(answer).end();
        else response.writeHead(200, { 'content-type': 'application/xml' }).end(answer);
      });
    });
    application.listen(0, '127.0.0.1');
    await once(application, 'listening');
    url = `http://127.0.0.1:${(application.address() as AddressInfo).port}`;
  });
  afterAll(() => application.close());

  const place = async (body: object): Promise<TestCall> =>
    (await stage.rest.request('POST', '/testCalls', body)) as TestCall;
  const read = async ({ testCallId }: Pick<TestCall, 'testCallId'>): Promise<TestCall> =>
    (await stage.rest.request('GET', `/testCalls/${testCallId}`)) as TestCall;
  const becomes = (what: string, call: Pick<TestCall, 'testCallId'>, fits: (now: TestCall) => boolean) =>
    until(
      what,
      async () => {
        const now = await read(call);
        return fits(now) && now;
      },
      { ...LIMIT, seen: () => read(call) },
    );
  const over = ({ state }: TestCall): boolean => state === 'ended' || state === 'failed';
  const typesSince = (start: number): string[] => events.slice(start).map(({ eventType }) => eventType);

  it('transfers the call into a session, is told of all that happens, and each step is shown', async () => {
    const { rest, chrome, gateway } = stage;
    const session = await rest.session();
    const [caller, listener] = [await rest.member(session), await rest.member(session)];
    const page = await chrome.openClient({ gatewayUrl: gateway.wsUrl, token: listener.token });
    answers.set(
      '/answer',
      `<Response><SpeakSentence>One moment</SpeakSentence><Gather/><Redirect redirectUrl="/next"/></Response>`,
    );
    answers.set(
      '/next',
      `<Response><Transfer transferCompleteUrl="/complete" tag="mine"><SipUri transferAnswerUrl="/called"
        transferDisconnectUrl="/left" uui="93d6f3c0;encoding=base64,${caller.token};encoding=jwt">sip:sipx.webrtc.bandwidth.com:5060</SipUri></Transfer></Response>`,
    );
    answers.set('/called', `<Response><SpeakSentence>You are being connected</SpeakSentence></Response>`);
    answers.set('/complete', `<Response><Hangup/></Response>`);
    const call = await place({
      answerUrl: `${url}/answer`,
      disconnectUrl: `${url}/disconnect`,
      username: 'me',
      password: 's3cret',
      from: '+15555550123',
    });
    await page.hears(440, { participantId: caller.id });
    const up = await becomes('its sound is delivered', call, ({ toGateway }) => toGateway?.heardBy === 1);
    expect(up).toMatchObject({ state: 'answered', participantId: caller.id });
    await rest.disconnectDevice(caller.id);
    const done = await becomes('the end', call, over);
    expect(done.state).toBe('ended');
    const [answer, redirect, called, left, complete, disconnect, ...none] = events;
    expect(none).toEqual([]);
    const callId = `c-${call.testCallId}`;
    const { id } = DEVELOPMENT_ACCOUNT;
    expect(answer).toMatchObject({
      eventType: 'answer',
      direction: 'outbound',
      callId,
      from: '+15555550123',
    });
    expect(answer).toMatchObject({
      authorization: `Basic ${Buffer.from('me:s3cret').toString('base64')}`,
      accountId: id,
      callUrl: `https://voice.bandwidth.com/api/v2/accounts/${id}/calls/${callId}`,
    });
    expect(redirect).toMatchObject({ eventType: 'redirect', callId });
    expect(called).toMatchObject({
      eventType: 'transferAnswer',
      parentCallId: callId,
      direction: 'outbound',
    });
    expect(called?.callId).not.toBe(callId);
    expect(left).toMatchObject({ eventType: 'transferDisconnect', callId: called?.callId, cause: 'hangup' });
    expect(complete).toMatchObject({ eventType: 'transferComplete', callId, cause: 'hangup', tag: 'mine' });
    expect(disconnect).toMatchObject({ eventType: 'disconnect', path: '/disconnect', cause: 'hangup' });
    const texts = done.steps.map(({ text }) => text).join('\n');
    expect(texts).toContain('Not supported by the trial: <Gather>');
    expect(texts).toContain('“You are being connected”');
    expect(done.steps.filter(({ deviceId }) => deviceId !== undefined).length).toBeGreaterThan(2);
    expect(JSON.stringify(done)).not.toContain(caller.token);
    expect(JSON.stringify(done)).not.toContain('s3cret');
  });

  it('says what an application did wrong, and what to do', async () => {
    answers.set('/broken', '<Response><Pause></Response>').set('/fails', 500);
    answers.set('/loop', '<Response><Redirect redirectUrl="/loop"/></Response>');
    answers.set('/nobody', '<Response><Transfer><SipUri>sip:127.0.0.1</SipUri></Transfer></Response>');
    const end = async (body: object): Promise<TestCall> => becomes('the end', await place(body), over);
    const problems = [];
    for (const path of ['broken', 'fails', 'loop', 'nobody'])
      problems.push((await end({ answerUrl: `${url}/${path}`, direction: 'inbound' })).problem);
    expect(problems).toMatchObject([
      { code: 'application', message: expect.stringContaining('not XML') as string },
      { code: 'application', message: 'The application answered 500.' },
      { code: 'application', message: expect.stringContaining('50 requests') as string },
      { code: 'refused', message: expect.stringContaining('403') as string },
    ]);
    expect(events.at(-1)).toMatchObject({ eventType: 'initiate', direction: 'inbound' });
    // As webhooks, it is not sent to where clouds keep their credentials.
    const denied = await end({ answerUrl: 'http://169.254.169.254/latest' });
    expect(denied.problem?.message).toContain('must not connect to 169.254.169.254');
    const pasted = await end({ bxml: '<Response><Redirect redirectUrl="/next"/></Response>' });
    expect(pasted.problem?.message).toContain('whole URLs');
  });

  it('places calls by a local create-call endpoint', async () => {
    const before = events.length;
    answers.set('/created', '<Response><Pause duration="60"/></Response>');
    const server = spawn(process.execPath, ['scripts/voice-api.mjs'], {
      env: { ...process.env, PATCHBAY_URL: stage.gateway.httpUrl, VOICE_API_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
      const base = /http:\S+/.exec(line)![0];
      const ask = async (method: string, path: string, body?: object) => {
        const response = await fetch(base + path, {
          method,
          headers: { authorization: 'Basic YTpi' },
          ...(body && { body: JSON.stringify(body) }),
        });
        const text = await response.text();
        return {
          status: response.status,
          body: (text === '' ? {} : JSON.parse(text)) as Record<string, string>,
        };
      };
      expect((await ask('POST', '', { to: '+1', from: '+2', answerUrl: `${url}/created` })).status).toBe(400);
      const created = await ask('POST', '', {
        ...{ applicationId: 'app-1', to: '+15555550111', from: '+15555550122', tag: 't' },
        ...{ answerUrl: `${url}/created`, disconnectUrl: `${url}/bye` },
      });
      expect(created.status).toBe(201);
      const { callId = '', callUrl = '' } = created.body;
      await until('the answer event', () => events.length > before, LIMIT);
      expect(events[before]).toMatchObject({
        ...{ eventType: 'answer', callId, callUrl, to: '+15555550111', applicationId: 'app-1', tag: 't' },
      });
      expect((await ask('GET', `/${callId}`)).body).toMatchObject({ callId, state: 'initiated' });
      expect((await ask('POST', `/${callId}`, { state: 'completed' })).status).toBe(200);
      await until('the disconnect event', () => typesSince(before).includes('disconnect'), LIMIT);
      expect((await ask('GET', `/${callId}`)).body).toMatchObject({ state: 'disconnected' });
    } finally {
      server.kill();
      await once(server, 'close');
    }
  });
});
