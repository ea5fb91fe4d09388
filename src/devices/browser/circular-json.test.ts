import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromCircular, speaksCircularJson, toCircular } from './json-rpc.js';

/** The very package that the 0.9 client reads and writes with. */
const circular = createRequire(import.meta.url)('circular-json') as Pick<JSON, 'parse' | 'stringify'>;

const texts = fc.string({ unit: fc.constantFrom('~', '\\', 'x', '7', 'e', 'a', '\\x7e') });

describe('strings for and from circular-json', () => {
  it('are read by the client as they were meant, those beginning with a tilde too', () => {
    expect(circular.parse(JSON.stringify({ alias: toCircular('~me') }))).toEqual({ alias: '~me' });
  });

  it('are written just as the client writes them', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(JSON.stringify({ text: toCircular(text) })).toBe(circular.stringify({ text }));
      }),
    );
  });

  it('are read just as the client reads them', () => {
    fc.assert(
      fc.property(
        texts.filter((text) => !text.startsWith('~')),
        (text) => {
          expect({ text: fromCircular(text) }).toEqual(circular.parse(JSON.stringify({ text })));
        },
      ),
    );
  });

  it('are for clients before 0.12 alone', () => {
    expect(['0.9.2-beta.1', '0.11.0'].map(speaksCircularJson)).toEqual([true, true]);
    expect(['0.12.0-beta.1', '0.13.1', '1.0.0', ''].map(speaksCircularJson)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});
