import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { onRequestHookHandler } from 'fastify';
import { type Api, putHeaders } from './instance.js';

const properties = {
  timestamp: {
    type: 'string',
    description: 'When it happened: epoch milliseconds, as a string.',
    examples: ['1628786234676'],
  },
  participantId: { type: 'string' },
  deviceId: {
    type: 'string',
    description: "The device's own id: a browser's or program's `uniqueId`, a phone's Call-ID.",
  },
  tag: { type: 'string', description: "The participant's tag; absent if it has none." },
};

const digit = {
  digit: { type: 'string', pattern: '^[0-9*#A-D]$' },
  durationMs: { type: 'number', description: 'How long the key was pressed.' },
};

const speech = {
  streamId: { type: 'string' },
  speaking: { type: 'boolean', description: 'Whether it begins or ceases.' },
};

const failure = {
  status: { type: 'integer', description: 'The SIP status of the refusal.', examples: [488] },
  reason: { type: 'string', description: 'Why, in words.' },
  codecs: {
    type: 'array',
    items: { type: 'string' },
    description: 'The audio codecs that the phone offered.',
  },
};

const connection = {
  kind: { type: 'string', examples: ['browser', 'phone', 'program'] },
  direction: { type: 'string', enum: ['inbound', 'outbound'] },
  received: formatOrNull(
    'How its media come to the gateway. Null until that is agreed on: in `onConnect` of a page.',
  ),
  sent: formatOrNull('How media are sent to it. Null likewise.'),
};

function formatOrNull(description: string): object {
  return {
    type: ['object', 'null'],
    description,
    required: ['codecs', 'encryption'],
    properties: {
      codecs: { type: 'array', items: { type: 'string' }, examples: [['PCMU'], ['opus', 'VP8']] },
      encryption: { type: 'string', examples: ['none', 'AES_CM_128_HMAC_SHA1_80', 'DTLS-SRTP'] },
    },
  };
}

const whereKnown = {
  sessionId: { type: 'string', description: 'The session that the participant is in.' },
  caller: { type: 'string', description: 'Phones: number or user of the caller.' },
};

const ending = {
  reason: { type: 'string', description: 'Why it ended, as in usage records.', examples: ['left', 'lost'] },
  seconds: { type: 'number', description: 'How long it was connected.' },
};

const about =
  'Sent to the `callbackUrl` of the participant. Webhooks of one participant come in order, one at a time. A webhook ' +
  'without a 2xx response is sent again, at growing intervals, for up to an hour.';

const asked = (event: string): string =>
  `(an extension of this gateway, for participants created with \`events: ["${event}"]\`)`;

/** The requests that the gateway sends to applications. */
const webhooks = {
  onConnect: webhook('onConnect', 'A device connected', connection, whereKnown),
  onLeave: webhook(
    'onLeave',
    'A device left: sent exactly once for each onConnect',
    { ...connection, ...ending },
    {
      ...whereKnown,
      quality: {
        $ref: '#/components/schemas/Quality',
        description: 'How its audio fared, at most five seconds before; absent for a shorter connection.',
      },
    },
  ),
  onDisconnect: webhook('onDisconnect', 'The signalling of a device was lost; it may come back'),
  onHold: webhook('onHold', `A phone put the session on hold ${asked('hold')}`),
  onResume: webhook('onResume', `A phone took the session off hold ${asked('hold')}`),
  onCallFailed: webhook(
    'onCallFailed',
    `A call with the participant's token was refused ${asked('callFailed')}`,
    failure,
  ),
  onSpeaking: webhook(
    'onSpeaking',
    `Somebody begins or ceases to speak in a stream of the device ${asked('speaking')}`,
    speech,
    {
      alias: { type: 'string', description: "The stream's alias." },
      levelDb: { type: 'number', description: 'Level of the speech so far, in dB relative to full scale.' },
    },
  ),
  onAnnouncement: webhook(
    'onAnnouncement',
    `A sound for the device begins, has ended, was stopped, or failed ${asked('announcement')}`,
    {
      announcementId: { type: 'string', description: 'As in the response of the request.' },
      state: { type: 'string', enum: ['STARTED', 'ENDED', 'STOPPED', 'FAILED'] },
    },
    { cause: { type: 'string', description: 'With `FAILED`: why, for people.' } },
  ),
  onDtmf: webhook('onDtmf', 'A device sent a DTMF digit (an extension of this gateway)', digit),
};

/** What is true of this gateway: its version and its limits as configured. */
export interface GatewayFacts {
  readonly version: string;
  readonly sessionHours: number;
  /** Absent: an account may make as many requests as it likes. */
  readonly requestsPerSecond?: number | undefined;
  readonly bytes: number;
  readonly bytesPerAccount: number;
  /** Infinity: no limit. */
  readonly devicesPerAccount: number;
}

const limitOf = (limit = Number.POSITIVE_INFINITY, unit = ''): string =>
  limit === Number.POSITIVE_INFINITY ? 'no limit' : `${limit.toLocaleString('en')}${unit}`;

const megabytes = (bytes: number): string => `${Math.floor(bytes / 1_048_576)} MB`;

/** The introduction of the document (Markdown). */
const describe = (about: GatewayFacts): string => `
Patchbay connects browsers (WebRTC) and phones (SIP) in **sessions**. Applications written for Bandwidth's
WebRTC API run against it by changing their base URL to \`http(s)://<gateway>/v1\`.

Create a **session**; create a **participant** and give its **token** to a browser page, to a program (docs/programs.md) or, in the
\`User-to-User\` header of a transferred call, to a phone; add the participant to the session with
 **subscriptions** that say whom it receives. Every change takes effect at once, and is on disk before the
response.

## Requests
* Authenticate with HTTP Basic and the credentials of the account in the path; otherwise the response is 401.
  Wrong passwords are slowed down: ten of a user from one address, then one each six seconds; more get 429.
  The console's own pages use a cookie instead (docs/console.md).
* Bodies are JSON (\`Content-Type: application/json\`) and may be left out. Unknown properties are ignored, except
  those that are nearly a known one (\`callbackURL\`), which are answered with 400. A property that is \`null\` counts
  as absent.
* Properties without a value are left out, never \`null\`.

## Errors
Every error has the body \`Error\`: \`error\` and \`message\` say what is wrong, \`reason\` is a stable
code for programs, \`code\` is the HTTP status, \`requestId\` is also in the header \`X-Request-Id\` and in the
gateway's log. An unknown path is 404; a method that a path lacks is 405 with \`Allow\`; a malformed HTTP request is 400, a slow one 408, and one with more than 16 KiB
of path and headers 431.

## Limits
| what | limit | beyond it |
|---|---|---|
| participants in a session, phones included | 20 | 409 \`PATCHBAY_SESSION_FULL\` |
| sessions of a participant | 1 | 409 \`PATCHBAY_IN_OTHER_SESSION\` |
| tag | 50 characters | 400 |
| life of sessions, participants and tokens | ${about.sessionHours} hours | deleted, devices disconnected |
| body, except of uploads | 64 KiB | 413 |
| memory of an account (sessions, participants and subscriptions with their texts) | ${megabytes(about.bytesPerAccount)} | 429; 503 when all accounts together use ${megabytes(about.bytes)} |
| page of a listing | 1,000 items and 1 MB | continued by \`next\` |
| connected phones, pages and programs of an account | ${limitOf(about.devicesPerAccount)} | phones get 480, programs 429; pages are closed with 1013, and try again |
| requests of an account | ${limitOf(about.requestsPerSecond, ' a second')} | 429 with \`Retry-After\` |

## Subscriptions
| body | receives |
|---|---|
| \`{"sessionId": "…"}\` | everyone in the session, now and later |
| \`{"participants": [{"participantId": "…"}]}\` | exactly these participants |
| \`{"participants": [{"participantId": "…", "streamAliases": ["screen"]}]}\` | only these streams of them |
| \`{}\` or none | nobody |

\`participants: []\` is the same as leaving it out: with a \`sessionId\` it means everyone. Nobody receives their
own streams. You can subscribe to participants and streams that do not exist yet.
`;

const tags = [
  { name: 'Sessions', description: 'Groups of at most 20 participants.' },
  {
    name: 'Participants',
    description: 'People and programs, and their devices: browsers, phones and programs.',
  },
  { name: 'Media', description: 'Sounds that the gateway itself plays.' },
  { name: 'Test calls', description: 'Calls from a phone that is built in, to try whether calls work.' },
  { name: 'Subscriptions', description: 'Who receives whom.' },
  { name: 'Events', description: 'What happens in the account, at once.' },
  {
    name: 'Calls',
    description: 'Calls that are up, that are over and that were refused; their SIP messages and quality.',
  },
  { name: 'Usage', description: 'Which devices were connected for how long: the billing report.' },
  { name: 'Webhooks', description: 'Events that the gateway sends to applications.' },
  { name: 'Gateway', description: 'The gateway itself. `/healthz` and `/readyz` need no credentials.' },
];

/** The page loads nothing from other origins and works over plain HTTP. */
const DOCS_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'";

/**
 * Serves the OpenAPI 3.1 document at `/openapi.json` and a page to read it at `/docs`. The document is made of the
 * schemas that the routes validate with. Call it before routes are added.
 * @param guard refuses those who may not read them
 */
export function serveOpenApi(api: Api, about: GatewayFacts, guard: onRequestHookHandler): void {
  api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Patchbay', version: about.version },
      servers: [{ url: '/', description: 'This gateway' }],
      tags,
      security: [{ basic: [] }],
      components: { securitySchemes: { basic: { type: 'http', scheme: 'basic' } } },
      webhooks,
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return {};
      const { info, ...rest } = document.openapiObject;
      // Written for the first reader: it formats numbers by locale, which takes long the first time.
      return published({ ...rest, info: { ...info!, description: describe(about) } });
    },
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => localName($id, index) },
  });
  api.register((scope: Api, _options, done) => {
    scope.addHook('onRequest', guard);
    scope.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
      putHeaders(reply);
      return reply.type('application/json').send(JSON.stringify(api.swagger()));
    });
    done();
  });
  api.register((scope: Api, _options, done) => {
    scope.addHook('onRequest', guard);
    scope.addHook('onRequest', (_request, reply, next) => {
      reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
      next();
    });
    scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: DOCS_POLICY,
      validatorUrl: false,
      uiConfig: { deepLinking: true, docExpansion: 'list', layout: 'BaseLayout' },
      theme: { title: 'Patchbay API' },
    });
    done();
  });
}

/** Removes keywords that only our validator understands. */
function published<T>(document: T): T {
  const text = JSON.stringify(document, (name, value: unknown) =>
    name === 'transform' && Array.isArray(value) ? undefined : value,
  );
  return JSON.parse(text) as T;
}

function localName($id: unknown, index: number): string {
  return typeof $id === 'string' ? $id : `def-${index}`;
}

function webhook(event: string, summary: string, more: object = {}, optional: object = {}): object {
  return {
    post: {
      operationId: event,
      tags: ['Webhooks'],
      summary,
      description: about,
      security: [],
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: {
              type: 'object',
              required: ['event', 'timestamp', 'participantId', 'deviceId', ...Object.keys(more)],
              properties: { event: { const: event }, ...properties, ...more, ...optional },
            },
          },
        },
      },
      responses: {
        '2XX': { description: 'Accepted.' },
        410: { description: 'Accepted; not retried.' },
      },
    },
  };
}
