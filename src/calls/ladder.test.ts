import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sipTokenMask } from '../shared/index.js';
import { ladder, ladderText } from './ladder.js';
import { TraceRing } from './trace-ring.js';

const mask = sipTokenMask(['X-Secret']);
const remote = { host: '192.0.2.9', port: 5060 };
const local = { host: '2001:db8::1', port: 5060 };

/** The ladder of messages of one call, of which those that begin with `>` were sent by the gateway. */
function ladderOf(...texts: string[]) {
  let now = 1_000;
  const ring = new TraceRing({ bytes: 0, now: () => (now += 1) });
  for (const text of texts) {
    const sent = text.startsWith('>');
    const bytes = Buffer.from(text.replace(/^>/, ''));
    ring.message(sent ? 'out' : 'in', bytes, { transport: 'udp', remote, local });
  }
  ring.claim('c', 'one', 'answered');
  return ladder(ring.messages('one', 'c')!.messages, mask);
}

const INVITE = 'INVITE sip:x@y SIP/2.0\r\nCSeq: 1 INVITE\r\nCall-ID: c\r\n\r\nv=0\r\n';
const OK = '>SIP/2.0 200 OK\r\ncseq: 1 INVITE\r\nCall-ID: c\r\n\r\nv=0\r\n';
const ACK = 'ACK sip:x@y SIP/2.0\r\nCSeq: 1 ACK\r\nCall-ID: c\r\n\r\n';

describe('the ladder of a call', () => {
  it('has each message with who sent it, what it is, and whether it came before', () => {
    const seen = ladderOf(INVITE, INVITE, OK, ACK).map((message) => ({ ...message, text: '' }));
    const [peer, us] = ['udp/192.0.2.9:5060', 'udp/[2001:db8::1]:5060'];
    const inward = { direction: 'in', from: peer, to: us, text: '' };
    expect(seen).toEqual([
      { at: 1_001, ...inward, method: 'INVITE', summary: 'INVITE with SDP', repeated: false },
      { at: 1_002, ...inward, method: 'INVITE', summary: 'INVITE with SDP', repeated: true },
      {
        at: 1_003,
        direction: 'out',
        from: us,
        to: peer,
        text: '',
        method: 'INVITE',
        status: 200,
        summary: '200 OK (INVITE) with SDP',
        repeated: false,
      },
      { at: 1_004, ...inward, method: 'ACK', summary: 'ACK', repeated: false },
    ]);
  });

  it('is text for a ticket', () => {
    const text = ladderText(ladderOf(INVITE, INVITE));
    expect(text).toBe(
      ['', ' (repeated)']
        .map(
          (note, index) =>
            `1970-01-01T00:00:01.00${index + 1}Z  udp/192.0.2.9:5060 -> udp/[2001:db8::1]:5060${note}\n` +
            'INVITE sip:x@y SIP/2.0\nCSeq: 1 INVITE\nCall-ID: c\n\nv=0\n\n',
        )
        .join(''),
    );
  });

  it('shows no token, credential or key, wherever it stands and however it is spelled', () => {
    const base64url = fc.stringMatching(/^[\w-]{24,40}$/);
    const token = fc
      .tuple(base64url, base64url)
      .map(([body, signature]) => `eyJhbGciOiJIUzI1NiJ9.${body}.${signature}`);
    const percent = (text: string): string =>
      Array.from(text, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
    const spellings: ((token: string) => string)[] = [
      (text) => text,
      percent,
      (text) => percent(text).toUpperCase(),
      (text) => Buffer.from(text).toString('hex'),
      (text) => `04${Buffer.from(text).toString('hex').toUpperCase()}`,
      (text) => text.replaceAll('.', '%2E'),
      (text) => text.replaceAll('.', '\\.'),
    ];
    const places: ((secret: string) => { head?: string; uri?: string; body?: string })[] = [
      (secret) => ({ head: `User-to-User: ${secret};encoding=jwt` }),
      (secret) => ({ head: `user-to-user:\r\n  93d6;encoding=base64,${secret};encoding=jwt` }),
      (secret) => ({ head: `X-Participant-Token: ${secret}` }),
      (secret) => ({ head: `X-Secret: ${secret}` }),
      (secret) => ({ head: `X-Anything: "${secret}"` }),
      (secret) => ({ head: `From: "a ${secret}" <sip:${secret}@host>;tag=1` }),
      (secret) => ({ head: `Contact: <sip:a@b;token=${secret};lr>` }),
      (secret) => ({ head: `Refer-To: <sip:a@b?User-to-User=${secret}%3Bencoding%3Djwt>` }),
      (secret) => ({ head: `Authorization: Digest username="a", response="${secret}"` }),
      (secret) => ({ head: `Proxy-Authorization : Digest response="${secret}"` }),
      (secret) => ({ uri: `sip:${secret}@host` }),
      (secret) => ({ uri: `sip:host;token=${secret}` }),
      (secret) => ({ body: `is ${secret} it?` }),
      (secret) => ({ body: `v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${secret}|2^20|1:32\r\n` }),
      (secret) => ({ body: `v=0\r\nk=base64:${secret}\r\n` }),
      (secret) => ({ body: `v=0\r\na=key-mgmt:mikey ${secret}\r\n` }),
    ];
    const at = <T>(list: readonly T[]) => fc.constantFrom(...list);
    fc.assert(
      fc.property(token, at(spellings), at(places), fc.boolean(), (secret, spell, place, lf) => {
        const spelled = spell(secret);
        const { head = 'X-Nothing: 1', uri = 'sip:host', body = '' } = place(spelled);
        const text = `INVITE ${uri} SIP/2.0\r\nCall-ID: c\r\n${head}\r\n\r\n${body}`;
        const [message] = ladderOf(lf ? text.replaceAll('\r\n', '\n') : text);
        const shown = JSON.stringify(message);
        // The signature is what makes a token one.
        expect(shown.toLowerCase()).not.toContain(spelled.slice(-20).toLowerCase());
        expect(shown).toContain('***');
      }),
      { numRuns: 500 },
    );
  });
});
