import type { TSchema } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryOf, mutated } from '../testing/arbitrary.js';
import { decodeFromEdge, decodeFromLeader, InvalidMessage } from './codec.js';
import { FROM_EDGE, FROM_LEADER, SCHEMAS_ARE_WHOLE } from './schemas.js';

const sides = [
  ['edge', FROM_EDGE, decodeFromEdge],
  ['leader', FROM_LEADER, decodeFromLeader],
] as const;
const messages = sides.flatMap(([side, schemas, decode]) =>
  Object.entries<TSchema>(schemas).map(([type, schema]) => ({ name: `${side}: ${type}`, schema, decode })),
);

/** As JSON carries it. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('messages between an edge and the leader', () => {
  it('have schemas that are their types', () => {
    expect(SCHEMAS_ARE_WHOLE).toBe(true);
  });

  it.each(messages)('of $name arrive as they were sent', ({ schema, decode }) => {
    fc.assert(
      fc.property(arbitraryOf(schema), (message) => {
        expect(decode(JSON.stringify(message))).toEqual(plain(message));
      }),
      { numRuns: 20 },
    );
  });

  it.each(messages)('of $name that are damaged do not get in', ({ schema, decode }) => {
    const junk = fc.oneof(fc.constant(undefined), fc.jsonValue({ maxDepth: 2 }));
    fc.assert(
      fc.property(arbitraryOf(schema), fc.nat({ max: 30 }), junk, (message, at, by) => {
        const damaged = mutated(plain(message), at, by);
        const text = damaged === undefined ? '' : JSON.stringify(damaged);
        let decoded: unknown;
        try {
          decoded = decode(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidMessage);
          expect(text !== '' && Value.Check(schema, JSON.parse(text))).toBe(false);
          return;
        }
        // A text in place of another, for example, is a message still; perhaps one of another type.
        expect(messages.some((known) => known.decode === decode && Value.Check(known.schema, decoded))).toBe(
          true,
        );
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    '',
    'null',
    '[]',
    '7',
    '{',
    '{}',
    '{"type":7}',
    '{"type":{"toString":7}}',
    '{"type":"toString"}',
    '{"type":"__proto__"}',
  ])('%j is none', (text) => {
    for (const [, , decode] of sides) expect(() => decode(text)).toThrow(InvalidMessage);
  });

  it('say what is wrong with one, and nothing of what is in it', () => {
    const question = { type: 'question', id: 1, question: 'authenticate' };
    const secret = 'eyJsecret';
    const failureOf = (message: object): string => {
      try {
        return JSON.stringify(decodeFromEdge(JSON.stringify(message)));
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(failureOf({ ...question, asked: { token: secret, ignoreExpiry: secret } })).not.toContain(secret);
    const headers = { [secret]: { [secret]: 1 } };
    const info = { id: 'd', kind: 'phone', externalId: 'e', direction: 'inbound', headers };
    expect(failureOf({ type: 'state', deviceId: 'd', change: { part: 'levels', levels: secret } })).toMatch(
      /^Expected .* at \/change/,
    );
    const event = { type: 'connect', device: { info } };
    expect(failureOf({ type: 'history', entry: { number: 1, event } })).not.toContain(secret);
    const hello = {
      type: 'hello',
      edgeId: 'e',
      process: 'p',
      kinds: [],
      isComplete: true,
      history: [],
      takesOver: true,
      devices: [{ info }],
    };
    expect(failureOf(hello)).toMatch(/at \/devices\/0/);
    expect(failureOf(hello)).not.toContain(secret);
  });
});
