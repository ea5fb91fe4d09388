import { expect, it, vi } from 'vitest';
import { readAppMessage } from './apps/wire.js';
import { readSessionExpires, supportsTimer } from './dialog/session-timer.js';
import { isFault, readEssentials } from './message/essentials.js';
import { splitList } from './message/grammar.js';
import { formatVia, Headers, parseVia, replaceTopVia, topVia } from './message/headers.js';
import { parseNameAddr, parseNameAddrs, parseSipUri } from './message/uri.js';
import { parseMessage } from './message/parse.js';
import { maskTokens, sipTokenMask, tokensIn } from '../shared/index.js';
import { expectLinear, growthOf } from '../../test/support/growth.js';

// On a machine that is busy with other things, each of many measurements takes its time.
vi.setConfig({ testTimeout: 60_000 });

/** What the server does with a message before any transaction has it. */
function receive(text: string): unknown {
  const message = parseMessage(Buffer.from(text, 'latin1'));
  if (message.kind === 'unreadable') return message.status;
  const essentials = readEssentials(message);
  if (isFault(essentials)) return essentials.why;
  replaceTopVia(message.headers, formatVia(essentials.via));
  return essentials;
}

const message = (field: string, start = 'INVITE sip:a@b SIP/2.0'): string =>
  [
    start,
    'Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1',
    ...['From: <sip:a@b>;tag=1', 'To: <sip:b@b>', 'Call-ID: 1', 'CSeq: 1 INVITE', 'Contact: <sip:a@b>'],
    field,
    '',
    '',
  ].join('\r\n');

it('tells quadratic work from linear work', () => {
  const spaces = (length: number): string => ' '.repeat(length);
  expect(growthOf((text) => /\s*x/.test(text), spaces)).toBeDefined();
  expect(growthOf((text) => /^A\s+(\S*)\s+SIP$/.test(`A${text}`), spaces)).toBeDefined();
  expect(growthOf((text) => /^\s*x/.test(text), spaces)).toBeUndefined();
});

it('answers a start line that is too long, and looks at no more of it', () => {
  const long = parseMessage(Buffer.from(message('X: 1', `INVITE sip:${'a'.repeat(3000)}@b SIP/2.0`)));
  expect(long).toMatchObject({ kind: 'unreadable', status: 414, request: { method: 'INVITE' } });
  const spaces = parseMessage(Buffer.from(`A${' '.repeat(5600)}\r\n\r\n`));
  expect(spaces).toMatchObject({ status: 414, request: { method: 'A', uri: '' } });
  const wordless = parseMessage(Buffer.from(`${'A'.repeat(5600)} sip:a SIP/2.0\r\n\r\n`));
  expect(wordless).toMatchObject({ status: 400, request: undefined });
});

it('cuts a list of Vias in time by its length', () => {
  const list = (length: number): string => `Via: ${'SIP/2.0/UDP a,'.repeat(length / 16)}SIP/2.0/UDP a`;
  expect(growthOf((text) => receive(message(text)), list)).toBeUndefined();
});

const STARTS: Record<string, (hostile: string) => string> = {
  'a start line': (hostile) => `${hostile}\r\n\r\n`,
  'a start line after its method': (hostile) => `A ${hostile}\r\n\r\n`,
  'a short start line': (hostile) => message('X: 1', `A ${hostile.slice(0, 1500)} SIP/2.0`),
  'the bytes of a status line': (hostile) => `SIP/2.0 200 ${hostile}\r\n\r\n`,
};

const FIELDS = [
  'Via',
  'From',
  'To',
  'Call-ID',
  'CSeq',
  'Contact',
  'Route',
  'Record-Route',
  'Max-Forwards',
  'X',
];

it.each(Object.entries(STARTS))('reads %s in time by its length', (_name, place) => {
  expectLinear(receive, place);
});

it.each(FIELDS)('reads %s in time by its length', (name) => {
  const others = message('X: 1').split('\r\n');
  const kept = others.filter((line) => !line.startsWith(`${name}:`));
  expectLinear(receive, (hostile) => [kept[0], `${name}: ${hostile}`, ...kept.slice(1)].join('\r\n'));
});

const READERS: Record<string, (text: string) => unknown> = {
  'header lines': (text) => receive(message(text)),
  'an address': parseNameAddr,
  addresses: (text) => parseNameAddrs([text]),
  'a list': splitList,
  'a URI': parseSipUri,
  'a Via': parseVia,
  'the top Via': (text) => topVia([text]),
  'Session-Expires': (text) => readSessionExpires(new Headers().add('Session-Expires', text)),
  Supported: (text) => supportsTimer(new Headers().add('Supported', text)),
  'an application’s message': (text) => readAppMessage(Buffer.from(text, 'latin1')),
  'the mask of messages': sipTokenMask(['X-Secret']),
  'the mask of texts': maskTokens,
  'the search for tokens': tokensIn,
};

it.each(Object.entries(READERS))('%s: in time by the length', (_name, work) => {
  expectLinear(work);
});
