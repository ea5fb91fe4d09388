import { describe, expect, it } from 'vitest';
import { OwnTraces } from './own-traces.js';
import { TraceRing } from './trace-ring.js';

const path = { transport: 'udp', remote: { host: '192.0.2.9', port: 5060 } };
/** Of the 64 blocks of the smallest ring, a call takes eight. */
const EIGHTH = 'x'.repeat(30_000);

function scene() {
  let now = 0;
  const ring = new TraceRing({ bytes: 0, now: () => (now += 1) });
  const traces = new OwnTraces({ ring, tokenHeaders: ['X-Secret'] });
  const says = (start: string, callId: string, body = ''): void =>
    ring.message(
      'in',
      Buffer.from(`${start} sip:x@y SIP/2.0\r\nCall-ID: ${callId}\r\nX-Secret: hush\r\n\r\n${body}`),
      path,
    );
  return { traces, says };
}

const phone = (externalId: string) => ({ kind: 'phone', externalId });

describe('what an account may see of the calls of a gateway', () => {
  it('are those of its phones, without secrets', () => {
    const { traces, says } = scene();
    for (const id of ['answered', 'refused', 'page', 'nobody']) says('INVITE', id);
    traces.connected(phone('answered'), 'one');
    traces.callFailed(phone('refused'), 'one');
    traces.connected({ kind: 'browser', externalId: 'page' }, 'one');
    for (const id of ['answered', 'refused']) {
      const { messages, left } = traces.of('one', id)!;
      expect([messages.length, left]).toEqual([1, 0]);
      expect(messages[0]!.text).toContain(`Call-ID: ${id}\r\nX-Secret: ***`);
      expect(traces.of('two', id)).toBeUndefined();
      expect(traces.delete('two', id)).toBe(false);
    }
    for (const id of ['page', 'nobody', 'never seen']) expect(traces.of('one', id)).toBeUndefined();
    expect([traces.delete('one', 'answered'), traces.delete('one', 'answered')]).toEqual([true, false]);
    expect(traces.of('one', 'answered')).toBeUndefined();
  });

  it('are kept from when a call goes on that began elsewhere', () => {
    const { traces, says } = scene();
    traces.carriedOver({ kind: 'browser', externalId: 'page' }, 'one');
    traces.carriedOver(phone('moved'), 'one');
    for (const id of ['moved', 'page']) says('BYE', id);
    expect(traces.of('one', 'moved')?.messages).toMatchObject([{ summary: 'BYE' }]);
    expect(traces.of('one', 'page')).toBeUndefined();
  });

  it.each(['lost', 'media-timeout', 'error'])('are kept for longest of a call that ended as %s', (reason) => {
    const { traces, says } = scene();
    for (const id of ['failed', 'ended', 'a', 'b', 'c', 'd', 'e', 'f']) {
      says('INVITE', id, EIGHTH);
      traces.connected(phone(id), 'one');
    }
    traces.left(phone('failed'), 'one', reason);
    traces.left(phone('ended'), 'one', 'left');
    says('INVITE', 'new', EIGHTH);
    expect(traces.of('one', 'failed')?.messages).toHaveLength(1);
    expect(traces.of('one', 'ended')).toBeUndefined();
  });

  it('are nothing when calls of two accounts have one Call-ID', () => {
    const { traces, says } = scene();
    says('INVITE', 'same');
    traces.connected(phone('same'), 'one');
    traces.callFailed(phone('same'), 'two');
    says('BYE', 'same');
    expect([traces.of('one', 'same'), traces.of('two', 'same')]).toEqual([undefined, undefined]);
  });
});
