import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromCircular, JsonRpcFormat, RpcError, speaksCircularJson, toCircular } from './json-rpc.js';

const plain = new JsonRpcFormat({ circular: false });

/** Calls as captured from the clients; the test damages them. */
const CAPTURED = [
  '{"jsonrpc":"2.0","method":"setMediaPreferences","params":{"protocol":"WEBRTC"},"id":1}',
  '{"jsonrpc":"2.0","method":"offerSdp","params":{"sdpOffer":"v=0\\r\\n","mediaMetadata":{"mediaStreams":{"a":{"alias":"x"}},"dataChannels":{"__heartbeat__":{"label":"__heartbeat__","streamId":0}}}},"id":2}',
  '{"jsonrpc":"2.0","method":"leave","params":null}',
  '{"jsonrpc":"2.0","method":"ping","params":{},"id":"8C1F8B2E"}',
];

describe('reading messages', () => {
  it.each([1, 0, -3.5, 'a-uuid'])('keeps the type of the id %j', (id) => {
    const text = JSON.stringify({ jsonrpc: '2.0', method: 'ping', params: {}, id });
    expect(plain.parse(text)).toEqual({ type: 'call', id, method: 'ping', params: {} });
  });

  it.each(['{"jsonrpc":"2.0","method":"leave"}', '{"jsonrpc":"2.0","method":"leave","params":null}'])(
    'takes missing and null parameters alike: %s',
    (text) => {
      expect(plain.parse(text)).toEqual({ type: 'notification', method: 'leave', params: {} });
    },
  );

  it.each([
    ['', null],
    ['null', null],
    ['[{"jsonrpc":"2.0","method":"ping","id":1}]', null],
    ['{"jsonrpc":"2.0","id":4}', 4],
    ['{"method":"ping","id":5}', 5],
    ['{"jsonrpc":"2.0","method":"ping","id":{}}', null],
    [`{"jsonrpc":"2.0","method":"ping","id":"${'x'.repeat(200)}"}`, null],
    [`{"jsonrpc":"2.0","method":"${'x'.repeat(200)}","id":6}`, 6],
  ])('refuses %s', (text, id) => {
    expect(plain.parse(text)).toMatchObject({ type: 'invalid', id });
  });

  it('survives nesting that overflows a recursive parser', () => {
    const deep = `{"jsonrpc":"2.0","id":1,"method":"x7e","params":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    for (const circular of [true, false]) {
      expect(['call', 'invalid']).toContain(new JsonRpcFormat({ circular }).parse(deep).type);
    }
  });

  it('never throws, whatever the input', () => {
    const damaged = fc
      .tuple(fc.constantFrom(...CAPTURED), fc.array(fc.tuple(fc.nat(400), fc.nat(3), fc.string())))
      .map(([text, edits]) =>
        edits.reduce((all, [at, cut, put]) => all.slice(0, at) + put + all.slice(at + cut), text),
      );
    fc.assert(
      fc.property(fc.oneof(damaged, fc.string(), fc.json()), fc.boolean(), (text, circular) => {
        const message = new JsonRpcFormat({ circular }).parse(text);
        expect(['call', 'notification', 'invalid']).toContain(message.type);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('writing messages', () => {
  it('puts exactly one of result and error into a response', () => {
    expect(JSON.parse(plain.result(1, {}))).toEqual({ jsonrpc: '2.0', result: {}, id: 1 });
    expect(JSON.parse(plain.error('a', new RpcError('tooMany', 'Slow down.')))).toEqual({
      jsonrpc: '2.0',
      error: { code: -32001, message: 'Slow down.' },
      id: 'a',
    });
  });

  it('puts no id into a notification', () => {
    expect(JSON.parse(plain.notification('sdpOffer', { sdpRevision: 1 }))).toEqual({
      jsonrpc: '2.0',
      method: 'sdpOffer',
      params: { sdpRevision: 1 },
    });
  });
});

/** The package that the 0.9 client uses. */
const circular = createRequire(import.meta.url)('circular-json') as Pick<JSON, 'parse' | 'stringify'>;

const texts = fc.string({ unit: fc.constantFrom('~', '\\', 'x', '7', 'e', 'a', '\\x7e') });

describe('strings in circular-json', () => {
  it('arrive at the client unchanged, also if they begin with a tilde', () => {
    expect(circular.parse(JSON.stringify({ alias: toCircular('~me') }))).toEqual({ alias: '~me' });
  });

  it('are written as the client writes them', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(JSON.stringify({ text: toCircular(text) })).toBe(circular.stringify({ text }));
      }),
    );
  });

  it('are read as the client reads them', () => {
    fc.assert(
      fc.property(
        texts.filter((text) => !text.startsWith('~')),
        (text) => {
          expect({ text: fromCircular(text) }).toEqual(circular.parse(JSON.stringify({ text })));
        },
      ),
    );
  });

  it('are only for clients before 0.12', () => {
    expect(['0.9.2-beta.1', '0.11.0'].map(speaksCircularJson)).toEqual([true, true]);
    expect(['0.12.0-beta.1', '0.13.1', '1.0.0', ''].map(speaksCircularJson)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});
