import { ApiController } from '@bandwidth/webrtc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { phoneOffer, placeCall, placeRefusedCall, type CallOptions } from '../support/sipp.js';

const CALL_ID = 'c-93d6f3c0-be584596-0b74-4fa2-8015-d8ede84bd1a4';
const HEX_CALL_ID = CALL_ID.slice(1).replaceAll('-', '');

/** The `uui` that Bandwidth's own helper writes into the BXML of a Transfer. */
function uuiOfBxml(token: string, callId: string): string {
  const bxml = ApiController.generateTransferBxml(token, callId, 'sip:127.0.0.1:5060');
  return /uui="([^"]+)"/.exec(bxml)![1]!;
}

const uui =
  (spell: (token: string) => string) =>
  (token: string): CallOptions['invite'] => ({ headers: [`User-to-User: ${spell(token)}`] });

/** Every way in which a transfer may carry the token. */
const WAYS: readonly [string, (token: string, sipPort: number) => CallOptions['invite']][] = [
  ['the helper with a call id', uui((token) => uuiOfBxml(token, CALL_ID))],
  ['the helper without a call id', uui((token) => uuiOfBxml(token, ''))],
  ['jwt first', uui((token) => `${token};encoding=jwt,${HEX_CALL_ID};encoding=base64`)],
  ['ruby: encodings swapped', uui((token) => `${token};encoding=base64,${HEX_CALL_ID};encoding=jwt`)],
  ['java: call id with dashes', uui((token) => `${CALL_ID};encoding=base64,${token};encoding=jwt`)],
  ['php: the comma missing', uui((token) => `${HEX_CALL_ID};encoding=base64${token};encoding=jwt`)],
  ['quoted strings', uui((token) => `"${HEX_CALL_ID}==";encoding=base64,"${token}";Encoding="JWT"`)],
  [
    'several header lines',
    (token) => ({
      headers: [`User-to-User: ${HEX_CALL_ID};encoding=base64`, `user-to-user: ${token};encoding=jwt`],
    }),
  ],
  ['a URI parameter', (token, port) => ({ uri: `sip:127.0.0.1:${port};token=${token}` })],
  ['the user part', (token, port) => ({ uri: `sip:${token}@127.0.0.1:${port}` })],
  [
    'a URI header',
    (token, port) => ({ uri: `sip:gw@127.0.0.1:${port}?User-to-User=${token}%3Bencoding%3Djwt` }),
  ],
  ['X-Participant-Token', (token) => ({ headers: [`X-Participant-Token: ${token}`] })],
  ['a header of the operator’s choice', (token) => ({ headers: [`X-Carrier-Data: ${token}`] })],
  ['one bad token before it', uui((token) => `eyJhIjoxfQ.eyJhIjoxfQ.bad;encoding=jwt,${token};encoding=jwt`)],
];

describe('a participant token in an INVITE', () => {
  let gateway: TestGateway;
  let rest: Rest;
  let session: string;

  beforeAll(async () => {
    gateway = await startGateway({
      env: { PATCHBAY_TOKEN_HEADERS: 'X-Participant-Token,X-Carrier-Data' },
    });
    rest = new Rest(gateway);
    session = await rest.session();
  });

  afterAll(async () => {
    expect(await gateway.stop()).toBe(0);
  });

  it.each(WAYS)('is found: %s', async (_way, invite) => {
    const { id, token } = await rest.member(session);
    const call = await placeCall({ sipPort: gateway.sipPort, invite: invite(token, gateway.sipPort)! });
    try {
      expect((await call.final()).status).toBe(200);
      await call.hangUp();
    } finally {
      await call.end();
      await rest.deleteParticipant(id);
    }
  });

  const refused: readonly [string, number, RegExp, () => Promise<Omit<CallOptions, 'sipPort' | 'then'>>][] = [
    ['none', 403, /no participant token/, () => Promise.resolve({})],
    ['one of another gateway', 403, /not valid/, () => Promise.resolve({ token: foreignToken() })],
    [
      'that of a deleted participant',
      404,
      /participant/i,
      async () => {
        const { id, token } = await rest.participant();
        await rest.deleteParticipant(id);
        return { token };
      },
    ],
    [
      'two that disagree',
      400,
      /different participants/,
      async () => {
        const [one, other] = [await rest.participant(), await rest.participant()];
        return { token: one.token, invite: { headers: [`X-Participant-Token: ${other.token}`] } };
      },
    ],
  ];

  it.each(refused)('is refused with a reason: %s', async (_what, status, words, options) => {
    const refusal = await placeRefusedCall({ sipPort: gateway.sipPort, ...(await options()) });
    expect(refusal.status).toBe(status);
    expect(refusal.header('Reason')).toMatch(new RegExp(`^SIP;cause=${status};text=".+"$`));
    expect(refusal.header('Reason')).toMatch(words);
    const callId = refusal.header('Call-ID');
    await gateway.waitForLog((line) => line['callId'] === callId && line['status'] === status);
  });

  it('of a participant that is connected is refused with 486, and the first call goes on', async () => {
    const { token } = await rest.member(session);
    const first = await placeCall({ sipPort: gateway.sipPort, token });
    try {
      const refusal = await placeRefusedCall({ sipPort: gateway.sipPort, token });
      expect(refusal.status).toBe(486);
      expect(refusal.header('Reason')).toContain('connected already');
      await first.hangUp();
    } finally {
      await first.end();
    }
  });

  const unacceptable: readonly [string, number, string, RegExp, Partial<CallOptions>][] = [
    [
      'an offer without a supported codec',
      488,
      'Warning',
      /^305 /,
      {
        invite: {
          sdp: (port) =>
            `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 18\r\n`,
        },
      },
    ],
    [
      'an unknown extension',
      420,
      'Unsupported',
      /^teleport$/,
      { invite: { headers: ['Require: teleport'] } },
    ],
    [
      'a session interval too short',
      422,
      'Min-SE',
      /^90$/,
      { invite: { headers: ['Supported: timer', 'Session-Expires: 30'] } },
    ],
  ];

  it.each(unacceptable)('does not help %s', async (_what, status, header, value, options) => {
    const { token } = await rest.member(session);
    const refusal = await placeRefusedCall({ sipPort: gateway.sipPort, token, ...options });
    expect(refusal.status).toBe(status);
    expect(refusal.header(header)).toMatch(value);
    expect(refusal.header('Reason')).toContain(`cause=${status}`);
  });

  it('never reaches the log', () => {
    expect(gateway.log.length).toBeGreaterThan(0);
    expect(JSON.stringify(gateway.log)).not.toMatch(/eyJ[\w-]+\.[\w-]+\.[\w-]{20,}/);
  });

  it('may come with an offer over TCP', async () => {
    const { token } = await rest.member(session);
    const call = await placeCall({
      sipPort: gateway.sipPort,
      transport: 'tcp',
      token,
      then: (scenario) => scenario.expect(200).ack().pause(200).bye(),
      invite: { sdp: phoneOffer },
    });
    try {
      await call.ended();
    } finally {
      await call.end();
    }
  });
});

function foreignToken(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = { a: '9900000', p: crypto.randomUUID(), v: 'V3', exp: 4102444800 };
  return `${part({ alg: 'HS256' })}.${part(payload)}.${'A'.repeat(43)}`;
}
