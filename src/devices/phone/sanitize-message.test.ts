import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { expectLinear, growthOf } from '../../../test/support/growth.js';
import { sanitizeFrame, sanitizeMessage } from './sanitize-message.js';

/** A message as drachtio-srf parses it. */
interface Parsed {
  readonly headers: Record<string, string>;
  readonly body?: string;
  getParsedHeader(name: string): unknown;
}
const SipMessage = createRequire(import.meta.url)('drachtio-srf/lib/sip-parser/message') as new (
  text: string,
) => Parsed;

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n';
const OTHER = 'Content-Type: application/isup\r\n\r\n\u0001\u0002\r\n';

function message(headers: readonly string[], body = ''): string {
  const fixed = ['INVITE sip:a@b SIP/2.0', 'Call-ID: 1', 'Content-Length: 1'];
  return [...fixed, ...headers, '', body].join('\r\n');
}

/** Sanitizes a message and has drachtio-srf parse it. */
function read(text: string): Parsed {
  const harmless = sanitizeMessage(text);
  if (harmless === undefined) throw new Error('The message cannot be parsed.');
  return new SipMessage(harmless);
}

describe('a multipart body', () => {
  const parts = `--b\r\n${OTHER}--b\r\nContent-Disposition: session\r\nContent-Type: application/sdp\r\n\r\n${SDP}--b--\r\n`;

  it.each([
    ['multipart/mixed;boundary=b', parts],
    ['multipart/mixed; boundary="b"; charset=utf-8', parts],
    ['Multipart/Related ; type="application/sdp" ;\r\n Boundary = b', `preamble\r\n${parts}epilogue`],
    ['multipart/mixed;boundary=b', parts.replace('\r\n--b--', '\r\n\r\n--b--')],
  ])('of %s is replaced by its session description', (type, body) => {
    const { headers, body: left } = read(message([`Content-Type: ${type}`], body));
    expect(headers).toMatchObject({ 'content-type': 'application/sdp' });
    expect(left?.trimEnd()).toBe(SDP.trimEnd());
    expect(left?.endsWith('\r\n')).toBe(true);
  });

  const sdpPart = (header: string): string => `--BB\r\n${header}\r\n\r\n${SDP}\r\n--BB\r\n${OTHER}\r\n--BB--`;
  const sdpSecond = `--BB\r\n${OTHER}\r\n--BB \t\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--BB-- \r\n`;
  const nested = `--BB\r\nContent-Type: multipart/alternative; boundary=BBB\r\n\r\n--BBB\r\n${OTHER}\r\n--BBB\r\nContent-Type: application/sdp\r\n\r\n${SDP}\r\n--BBB--\r\n--BB--`;
  it.each([
    ['Content-type', 'multipart/mixed;boundary=BB', sdpPart('Content-type: application/sdp')],
    ['content-type', 'multipart/mixed;boundary=BB', sdpPart('content-type: application/sdp')],
    ['CONTENT-TYPE', 'multipart/mixed;boundary=BB', sdpPart('CONTENT-TYPE:Application/SDP; charset=utf-8')],
    ['c', 'multipart/mixed;boundary=BB', sdpPart('c: application/sdp')],
    [
      'a folded header',
      'multipart/mixed;boundary=BB',
      sdpPart('Content-Length: 1\r\nContent-Type:\r\n application/sdp'),
    ],
    ['MULTIPART/MIXED', 'MULTIPART/MIXED;BOUNDARY=BB', sdpSecond],
    ['Multipart/Mixed', 'Multipart/Mixed;Boundary=BB', sdpSecond],
    ['a space before the boundary', 'multipart/mixed; boundary= BB', sdpSecond],
    ['more parameters', 'multipart/related;boundary="BB";type="application/sdp"', sdpSecond],
    ['a semicolon in another', 'multipart/related;type="x;boundary=CC";boundary=BB', sdpSecond],
    ['an escape', 'multipart/mixed;boundary="B\\B"', sdpSecond],
    ['LF', 'multipart/mixed;boundary=BB', sdpSecond.replaceAll('\r\n', '\n')],
    ['another inside', 'multipart/mixed;boundary=BB', nested],
    ['another inside of LF', 'multipart/mixed;boundary=BB', nested.replaceAll('\r\n', '\n')],
    ['no last delimiter', 'multipart/mixed;boundary=BB', sdpSecond.replace('--BB-- \r\n', '')],
  ])(
    'with %s is replaced by its session description (FreeSWITCH #1816, sems #129, siprec #6)',
    (_what, type, body) => {
      const { headers, body: left } = read(message([`Content-Type: ${type}`], body));
      expect(headers).toMatchObject({ 'content-type': 'application/sdp' });
      expect(left?.replaceAll('\r\n', '\n').trimEnd()).toBe(SDP.replaceAll('\r\n', '\n').trimEnd());
    },
  );

  it('is searched only to a limited depth', () => {
    let body = `Content-Type: application/sdp\r\n\r\n${SDP}`;
    for (let depth = 9; depth > 0; depth -= 1) {
      const wrapped = `--B${depth}\r\n${body}\r\n--B${depth}--`;
      body = `Content-Type: multipart/mixed;boundary=B${depth}\r\n\r\n${wrapped}`;
    }
    const text = message(['Content-Type: multipart/mixed;boundary=B0'], `--B0\r\n${body}\r\n--B0--`);
    expect(read(text).headers['content-type']).toBe('multipart/mixed');
  });

  it.each([
    ['multipart/mixed', parts],
    ['multipart/mixed;boundary=', parts],
    ['multipart/mixed;boundary=c', parts],
    [`multipart/mixed;boundary=${'b'.repeat(71)}`, parts.replaceAll('--b', `--${'b'.repeat(71)}`)],
    ['multipart/mixed;boundary=b', `--b\r\n${OTHER}--b--`],
    ['text/plain;a=multipart/;boundary=b', parts],
  ])('of %s without one is nothing that is taken apart', (type, body) => {
    expect(read(message([`c: ${type}`], body)).headers['content-type']).toBe('multipart/mixed');
  });
});

describe('a header', () => {
  it('has runs of white space and line breaks collapsed', () => {
    const text = message([
      `From: "A  B" <  sip:a@b\t\t>\r\n  ;tag=1`,
      `Subject:\u000c\u000c${' '.repeat(9)}x`,
    ]);
    expect(read(text).headers).toMatchObject({ from: '"A B" < sip:a@b > ;tag=1', subject: 'x' });
  });

  it('is removed when it is malformed, since drachtio-srf would print it', () => {
    expect(read(message(['no colon eyJ', 'two words: x', ': y', 'X-Z : z'])).headers).toEqual({
      'call-id': '1',
      'content-length': '1',
      'X-Z': 'z',
    });
  });
});

describe('a frame', () => {
  it('is dropped when its SIP message cannot be parsed', () => {
    expect(sanitizeFrame('1|sip|network|9|udp|127.0.0.1|5060|0|1||\r\nhello eyJ\r\n\r\n')).toBeUndefined();
    expect(sanitizeFrame('1|response|2|OK|x')).toBe('1|response|2|OK|x');
    const whole = `1|sip|network|9|udp|127.0.0.1|5060|0|1||\r\n${message(['To: <sip:a@b>'], 'v=0')}`;
    expect(sanitizeFrame(whole)).toBe(whole);
  });
});

/** Messages with hostile text in different places. */
const PLACES: Record<string, (hostile: string) => string> = {
  'the start line': (hostile) => `INVITE ${hostile} SIP/2.0\r\nCall-ID: 1\r\n\r\n`,
  'any header': (hostile) => message([hostile]),
  From: (hostile) => message([`From: ${hostile}`]),
  'From after a bracket': (hostile) => message([`From: <${hostile}`]),
  'From after a parameter': (hostile) => message([`From: <sip:a@b>;tag=1;${hostile}`]),
  Contact: (hostile) => message([`Contact: <sip:a@b>,${hostile}`]),
  'Content-Type': (hostile) => message([`Content-Type: multipart/${hostile}`], 'x'),
  'a boundary': (hostile) => message([`Content-Type: multipart/;boundary=${hostile}`], 'x'),
  'a multipart body': (hostile) => message(['Content-Type: multipart/mixed;boundary=b'], `--b\r\n${hostile}`),
  'a nested part': (hostile) =>
    message(
      ['Content-Type: multipart/mixed;boundary=b'],
      `--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n${hostile}`,
    ),
  'a part': (hostile) =>
    message(['Content-Type: multipart/mixed;boundary=b'], `--b\r\nContent-Type:${hostile}`),
};

/** Everything that drachtio-srf does with a message, before and after tokens are checked. */
function takeApart(text: string): void {
  const parsed = read(text);
  for (const name of ['from', 'contact']) if (name in parsed.headers) parsed.getParsedHeader(name);
}

it.each(Object.entries(PLACES))(
  'takes time linear in the length of %s, drachtio-srf included',
  (_name, place) => expectLinear(takeApart, place),
  60_000,
);

it('takes time linear in the number of boundaries', () => {
  const boundaries = (length: number): string => ';boundary='.repeat(length / 10);
  const growth = growthOf((text) => takeApart(message([`Content-Type: multipart/${text}`], 'x')), boundaries);
  expect(growth).toBeUndefined();
});
