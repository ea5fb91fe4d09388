/**
 * A create-call endpoint as Bandwidth's Voice API documents it, on this machine: an application's own client is pointed to
 * it, and its calls are placed by a running gateway (POST .../testCalls with the answer URL). docs/voice-api-trial.md
 */
import { createServer } from 'node:http';

const gateway = process.env.PATCHBAY_URL ?? 'http://127.0.0.1:8080';
const [account, user, password] = (
  process.env.PATCHBAY_ACCOUNTS?.split(',')[0] ?? '9900000:patchbay:patchbay'
).split(/:([^:]*):(.*)/s);
const host = process.env.VOICE_API_HOST ?? '127.0.0.1';
const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const MAX_BODY = 65_536;
const PATH = /^\/api\/v2\/accounts\/([^/]+)\/calls(?:\/c-([\w-]+))?\/?$/;

/** An error as the Voice API answers it. */
class ApiError extends Error {
  constructor(status, type, description) {
    super(description);
    this.status = status;
    this.body = { type, description };
  }
}

async function ask(method, path, body) {
  const response = await fetch(`${gateway}/v1/accounts/${account}/testCalls${path}`, {
    method,
    headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  }).catch((error) => {
    throw new ApiError(
      503,
      'gateway',
      `The gateway at ${gateway} cannot be reached: ${error.cause?.code ?? error.message}`,
    );
  });
  const text = await response.text();
  const answer = text === '' ? {} : JSON.parse(text);
  if (!response.ok) throw new ApiError(response.status, answer.reason ?? 'gateway', answer.message ?? text);
  return answer;
}

async function bodyOf(request) {
  let text = '';
  for await (const piece of request) {
    text += piece;
    if (text.length > MAX_BODY) throw new ApiError(413, 'validation', 'The body is larger than 64 KB.');
  }
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    throw new ApiError(400, 'validation', 'The body is not JSON.');
  }
}

const callUrl = (accountId, callId) => `${base}/api/v2/accounts/${accountId}/calls/${callId}`;

async function create(accountId, body) {
  for (const name of ['applicationId', 'to', 'from', 'answerUrl']) {
    if (typeof body[name] !== 'string') throw new ApiError(400, 'validation', `${name} is required`);
  }
  const {
    applicationId,
    to,
    from,
    answerUrl,
    answerMethod = 'POST',
    disconnectUrl,
    disconnectMethod,
    tag,
  } = body;
  const { username, password: secret } = body;
  const { testCallId, startedAt } = await ask('POST', '', {
    ...{ applicationId, to, from, answerUrl, answerMethod, disconnectUrl, disconnectMethod, tag },
    ...{ username, password: secret, direction: 'outbound', voiceApiUrl: base, seconds: 300 },
  });
  const callId = `c-${testCallId}`;
  return {
    ...{
      accountId,
      applicationId,
      callId,
      to,
      from,
      enqueuedTime: startedAt,
      callUrl: callUrl(accountId, callId),
    },
    ...{ callTimeout: 30, callbackTimeout: 15, tag, answerMethod, answerUrl, disconnectUrl },
    disconnectMethod: disconnectMethod ?? 'POST',
  };
}

const STATES = { calling: 'initiated', answered: 'answered', ended: 'disconnected', failed: 'disconnected' };

async function read(accountId, id) {
  const { startedAt, endedAt, state, problem } = await ask('GET', `/${id}`);
  const disconnectCause = endedAt && (problem?.code === 'application' ? 'application-error' : 'hangup');
  return {
    ...{ accountId, callId: `c-${id}`, callUrl: callUrl(accountId, `c-${id}`), direction: 'outbound' },
    ...{ state: STATES[state], enqueuedTime: startedAt, startTime: startedAt, endTime: endedAt },
    ...{ disconnectCause, errorMessage: problem?.message },
  };
}

async function change(id, body) {
  if (body.state !== 'completed') {
    throw new ApiError(501, 'not-supported', 'The trial can only hang up: {"state": "completed"}.');
  }
  await ask('DELETE', `/${id}`);
}

async function serve(request) {
  const { pathname } = new URL(request.url, base);
  const [, accountId, id] = PATH.exec(pathname) ?? [];
  if (accountId === undefined) throw new ApiError(404, 'not-found', `There is no ${pathname} in the trial.`);
  if (!/^Basic ./i.test(request.headers.authorization ?? ''))
    throw new ApiError(401, 'unauthorized', 'Send user and password by HTTP Basic; any are accepted.');
  if (request.method === 'POST' && id === undefined)
    return [201, await create(accountId, await bodyOf(request))];
  if (request.method === 'POST') return [200, await change(id, await bodyOf(request))];
  if (request.method === 'GET' && id !== undefined) return [200, await read(accountId, id)];
  throw new ApiError(405, 'method-not-allowed', `${request.method} is not allowed here.`);
}

const server = createServer((request, response) => {
  serve(request)
    .catch((error) => {
      if (!(error instanceof ApiError)) console.error(error);
      return [
        error.status ?? 500,
        error.body ?? { type: 'internal', description: 'See the log of the trial.' },
      ];
    })
    .then(([status, body]) => {
      console.log(
        `${request.method} ${request.url} ${status}${status >= 400 ? `: ${body.description}` : ''}`,
      );
      response.writeHead(status, { 'content-type': 'application/json' }).end(body && JSON.stringify(body));
    });
});
let base = '';
server.listen(Number(process.env.VOICE_API_PORT ?? 8090), host, () => {
  base = `http://${host}:${server.address().port}`;
  console.log(`The Voice API of the trial: ${base}/api/v2/accounts/${account}/calls (calls by ${gateway})`);
});
