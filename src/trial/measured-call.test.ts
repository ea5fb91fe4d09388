import { describe, expect, it } from 'vitest';
import type { ConnectedDevice, Participant } from '../core/index.js';
import type { Leg } from './leg.js';
import { type CoreView, MeasuredCall } from './measured-call.js';
import type { TestCall } from './types.js';

/** A call that is answered, and what the core and its phone say of it. */
function answered() {
  const facts = {
    now: 0,
    heard: { packets: 50, lost: 0, jitterMs: 1, mos: 4.4 },
    hearers: ['listener'],
    participant: { sessionId: 's', publishPermissions: ['audio'] } as unknown as Participant | undefined,
    device: {
      info: { externalId: 'call' },
      streams: [{ streamId: 'x', mediaTypes: ['audio'] }],
      quality: { received: { packets: 40, mos: 4.1 }, sent: { packets: 0 } },
    } as unknown as ConnectedDevice | undefined,
  };
  const core = {
    participant: () => {
      if (!facts.participant) throw new Error('It is gone.');
      return facts.participant;
    },
    device: () => facts.device,
    announcements: { hearersOf: () => facts.hearers },
  } as unknown as CoreView;
  const call = new MeasuredCall(
    { accountId: 'a', testCallId: 't', kind: 'participant', startedAt: 0 },
    core,
    () => facts.now,
  );
  const phone = {
    codec: { name: 'PCMU' },
    roundTripMs: 10,
    get heard() {
      return facts.heard;
    },
  };
  call.dialled({ callId: 'call', phone } as unknown as Leg, 'p');
  facts.now = 30;
  call.answered(200);
  const at = (seconds: number): TestCall => {
    facts.now = 30 + 1000 * seconds;
    call.measure();
    return call.view;
  };
  return { facts, call, at };
}

const codeAt = (view: TestCall): string | undefined => view.problem?.code;

describe('a measured call', () => {
  it('has the figures of both directions, and the score of the worse one', () => {
    const { at } = answered();
    expect(at(1)).toMatchObject({
      state: 'answered',
      signalling: { status: 200, answeredAfterMs: 30 },
      toGateway: { packets: 40, heardBy: 1 },
      fromGateway: { packets: 50 },
      roundTripMs: 10,
      delayMs: 65,
      mos: 4.1,
    });
    expect(codeAt(at(2))).toBeUndefined();
  });

  it('says what is wrong, and only when it is known to be', () => {
    const { facts, at } = answered();
    facts.hearers = [];
    expect(codeAt(at(1))).toBe('nobody-hears');
    facts.participant = { sessionId: 's', publishPermissions: [] } as unknown as Participant;
    expect(codeAt(at(2))).toBe('may-not-publish');
    facts.participant = { publishPermissions: ['audio'] } as unknown as Participant;
    expect(codeAt(at(3))).toBe('no-session');
    facts.heard = { ...facts.heard, packets: 0 };
    expect(codeAt(at(3.9))).toBe('no-session');
    expect(codeAt(at(5))).toBe('no-rtp');
    facts.heard = { ...facts.heard, packets: 1 };
    facts.device = { ...facts.device!, quality: { received: { packets: 0 }, sent: { packets: 0 } } };
    expect(codeAt(at(6))).toBe('no-session');
    expect(codeAt(at(13))).toBe('not-heard');
    // By way of FreeSWITCH it is not known how many packets came.
    const { quality, ...unmeasured } = facts.device;
    expect(quality).toBeDefined();
    facts.device = unmeasured;
    expect(codeAt(at(14))).toBe('no-session');
  });

  it('keeps the last figures when the call is over', () => {
    const { facts, call, at } = answered();
    at(1);
    facts.device = undefined;
    facts.participant = undefined;
    at(2);
    call.ended({ code: 'ended-early', message: 'It ended.', advice: '' });
    expect(call.view).toMatchObject({ state: 'ended', mos: 4.1, toGateway: { packets: 40, heardBy: 1 } });
    expect(codeAt(call.view)).toBe('ended-early');
  });
});
