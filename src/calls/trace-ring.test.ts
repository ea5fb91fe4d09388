import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TraceRing } from './trace-ring.js';

const KIB = 1024;
/** The least that a ring holds: 64 blocks of 4 KiB. */
const SMALLEST = 256 * KIB;
const path = { transport: 'udp', remote: { host: '192.0.2.9', port: 5060 } };

const invite = (callId: string, bytes = 0, header = 'Call-ID'): Buffer =>
  Buffer.from(`INVITE sip:x@y SIP/2.0\r\nCSeq: 1 INVITE\r\n${header}: ${callId}\r\n\r\n${'x'.repeat(bytes)}`);
const bye = (callId: string, bytes = 0): Buffer =>
  Buffer.from(`BYE sip:x@y SIP/2.0\r\nCall-ID: ${callId}\r\n\r\n${'y'.repeat(bytes)}`);

const idsOf = (ring: TraceRing, account: string, ids: readonly string[]): string[] =>
  ids.filter((id) => ring.messages(account, id) !== undefined);

describe('the ring of SIP messages', () => {
  it('gives back what it took, byte for byte, across its blocks', () => {
    const ring = new TraceRing({ bytes: SMALLEST, now: () => 7 });
    const [first, second] = [invite('a', 5_000), bye('a', 9_000)];
    ring.message('in', first, path);
    ring.message('out', second, { ...path, local: { host: '192.0.2.1', port: 5060 } });
    ring.claim('a', 'one', 'answered');
    // It is a copy.
    const expected = [Buffer.from(first), Buffer.from(second)];
    first.fill(0);
    const { messages, left } = ring.messages('one', 'a')!;
    expect(messages.map(({ bytes }) => bytes)).toEqual(expected);
    expect(messages.map(({ at, direction, local }) => [at, direction, local])).toEqual([
      [7, 'in', undefined],
      [7, 'out', { host: '192.0.2.1', port: 5060 }],
    ]);
    expect(left).toBe(0);
  });

  it.each(['Call-ID', 'call-id', 'i', 'Call-ID '])('knows the call by %s', (header) => {
    const ring = new TraceRing({ bytes: SMALLEST });
    ring.message('in', invite('b@host', 0, header), path);
    ring.claim('b@host', 'one', 'answered');
    expect(ring.messages('one', 'b@host')?.messages).toHaveLength(1);
  });

  it('is not misled by a Call-ID in a body', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    ring.message('in', Buffer.from('INVITE sip:x SIP/2.0\r\ni: real\r\n\r\n\r\nCall-ID: other'), path);
    ring.claim('other', 'one', 'answered');
    ring.claim('real', 'one', 'answered');
    expect(idsOf(ring, 'one', ['real', 'other'])).toEqual(['real']);
  });

  it('keeps nothing of what does not begin with an INVITE', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    ring.message('in', bye('a'), path);
    ring.message('in', Buffer.from('INVITE sip:x SIP/2.0\r\n\r\n'), path);
    expect(ring.counts()).toEqual({ calls: 0, bytes: 0, dropped: { calls: 0, messages: 0 } });
  });

  it('shows a call to the account of its participant only, and to nobody before that is known', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    ring.message('in', invite('a'), path);
    expect(ring.messages('one', 'a')).toBeUndefined();
    ring.claim('a', 'one', 'answered');
    expect(ring.messages('two', 'a')).toBeUndefined();
    expect(ring.delete('two', 'a')).toBe(false);
    expect(ring.messages('one', 'a')).toBeDefined();
  });

  it('shows nobody a Call-ID that calls of two accounts have', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    ring.message('in', invite('a'), path);
    ring.claim('a', 'one', 'answered');
    ring.message('in', invite('a'), path);
    ring.claim('a', 'two', 'failed');
    ring.message('in', bye('a'), path);
    expect(ring.messages('one', 'a') ?? ring.messages('two', 'a')).toBeUndefined();
    expect(ring.counts()).toEqual({ calls: 1, bytes: 0, dropped: { calls: 1, messages: 0 } });
  });

  it('keeps no call whose Call-ID is a token, which REST masks', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    const token = `eyJh.${'b'.repeat(20)}.c`;
    ring.message('in', invite(token), path);
    ring.claim('***', 'one', 'answered');
    expect(ring.messages('one', '***')).toBeUndefined();
    expect(ring.counts().dropped.calls).toBe(1);
  });

  it('lets calls without a participant leave first, then the oldest, and failed ones last', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    const eighth = 30 * KIB;
    const calls = ['failed', 'old', 'unknown', 'new', 'newer', 'a', 'b', 'c'];
    for (const id of calls) ring.message('in', invite(id, eighth), path);
    for (const id of calls) {
      if (id !== 'unknown') ring.claim(id, 'one', id === 'failed' ? 'failed' : 'answered');
    }
    const kept = (): string[] => idsOf(ring, 'one', calls);
    const more = (id: string): void => {
      ring.message('in', invite(id, eighth), path);
      ring.claim(id, 'one', 'answered');
    };
    expect(kept()).toHaveLength(7);
    more('m1');
    expect(kept()).toContain('old');
    more('m2');
    expect(kept()).not.toContain('old');
    more('m3');
    expect(kept()).toEqual(['failed', 'newer', 'a', 'b', 'c']);
    for (let i = 4; i < 30; i += 1) more(`m${i}`);
    expect(kept()).toEqual(['failed']);
    for (let i = 0; i < 9; i += 1) {
      ring.message('in', invite(`f${i}`, eighth), path);
      ring.claim(`f${i}`, 'one', 'failed');
    }
    expect(kept()).toEqual([]);
  });

  it('limits what one call has, and says how much is left out', () => {
    const ring = new TraceRing({ bytes: 4 * SMALLEST });
    ring.message('in', invite('long'), path);
    ring.claim('long', 'one', 'answered');
    for (let i = 0; i < 600; i += 1) ring.message('in', bye('long', i % 100), path);
    expect(ring.messages('one', 'long')).toMatchObject({ left: 101 });
    expect(ring.messages('one', 'long')!.messages).toHaveLength(500);
    ring.message('in', invite('large'), path);
    ring.claim('large', 'one', 'answered');
    for (let i = 0; i < 20; i += 1) ring.message('in', bye('large', 30 * KIB), path);
    expect(ring.messages('one', 'large')!.messages).toHaveLength(9);
    expect(ring.counts().dropped.messages).toBe(101 + 12);
  });

  it('keeps few calls of strangers', () => {
    const ring = new TraceRing({ bytes: 64 * 1024 * KIB });
    for (let i = 0; i < 3_000; i += 1) ring.message('in', invite(`s${i}`), path);
    expect(ring.counts().calls).toBe(1_000);
  });

  it('keeps what comes of a call that goes on from an earlier gateway', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    ring.goOn('a', 'one');
    expect(ring.messages('one', 'a')).toBeUndefined();
    ring.message('in', bye('a'), path);
    expect(ring.messages('one', 'a')?.messages).toHaveLength(1);
  });

  it('forgets a call that is deleted', () => {
    const ring = new TraceRing({ bytes: SMALLEST });
    ring.message('in', invite('a'), path);
    ring.claim('a', 'one', 'answered');
    expect(ring.delete('one', 'a')).toBe(true);
    ring.message('in', bye('a'), path);
    expect(ring.messages('one', 'a')).toBeUndefined();
    expect(ring.counts().bytes).toBe(0);
  });

  it('never takes more than its share, whatever comes, and mixes up no calls', () => {
    const step = fc.record({
      id: fc.nat(60).map(String),
      what: fc.constantFrom('invite', 'invite', 'bye', 'answered', 'failed', 'delete', 'goOn'),
      bytes: fc.nat(20_000),
      account: fc.constantFrom('one', 'one', 'one', 'two'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const ring = new TraceRing({ bytes: SMALLEST });
        for (const { id, what, bytes, account } of steps) {
          if (what === 'invite') ring.message('in', invite(id, bytes), path);
          else if (what === 'bye') ring.message('out', bye(id, bytes), path);
          else if (what === 'delete') ring.delete(account, id);
          else if (what === 'goOn') ring.goOn(id, account);
          else ring.claim(id, account, what);
          const counts = ring.counts();
          expect(counts.bytes).toBeLessThanOrEqual(SMALLEST);
          expect(counts.calls).toBeLessThanOrEqual(64);
        }
        for (let id = 0; id <= 60; id += 1) {
          const messages = ['one', 'two'].map((account) => ring.messages(account, String(id))?.messages);
          expect(messages[0] && messages[1]).toBeUndefined();
          for (const { bytes } of messages.flatMap((some) => some ?? []))
            expect(bytes.toString('latin1')).toMatch(
              new RegExp(
                `^(INVITE|BYE) sip:x@y SIP/2.0\r\n(CSeq: 1 INVITE\r\n)?Call-ID: ${id}\r\n\r\n(x*|y*)$`,
              ),
            );
        }
      }),
      { numRuns: 60 },
    );
  });
});
