import { describe, expect, it } from 'vitest';
import { deliveries, deliveryFor } from './deliveries.js';
import type { DeliveredStream, Subscriptions } from './types.js';

function stream(participantId: string, streamId: string, alias?: string): DeliveredStream {
  return { participantId, streamId, mediaTypes: ['audio'], ...(alias === undefined ? {} : { alias }) };
}

const PUBLISHED = [
  stream('ann', 'a1', 'camera'),
  stream('bob', 'b1', 'camera'),
  stream('ann', 'a2', 'screen'),
  stream('cat', 'c1'),
];

function received(subscriptions: Subscriptions, participantId = 'bob'): readonly string[] {
  return deliveryFor({ participantId, subscriptions }, PUBLISHED).map(({ streamId }) => streamId);
}

describe('what a subscription amounts to', () => {
  it('is nothing without one', () => {
    expect(received({})).toEqual([]);
    expect(received({ participants: [] })).toEqual([]);
  });

  it('is everyone else with only the session, also when the list of participants is empty', () => {
    expect(received({ sessionId: 's' })).toEqual(['a1', 'a2', 'c1']);
    expect(received({ sessionId: 's', participants: [] })).toEqual(['a1', 'a2', 'c1']);
  });

  it('is just the participants named, whatever the session', () => {
    expect(received({ sessionId: 's', participants: [{ participantId: 'cat' }] })).toEqual(['c1']);
    expect(received({ participants: [{ participantId: 'ann', streamAliases: [] }] })).toEqual(['a1', 'a2']);
  });

  it('is just the aliases named', () => {
    expect(received({ participants: [{ participantId: 'ann', streamAliases: ['screen'] }] })).toEqual(['a2']);
    expect(received({ participants: [{ participantId: 'cat', streamAliases: ['screen'] }] })).toEqual([]);
  });

  it('is all that several entries for one participant name', () => {
    const camera = { participantId: 'ann', streamAliases: ['camera'] };
    expect(received({ participants: [camera, { participantId: 'ann', streamAliases: ['x'] }] })).toEqual([
      'a1',
    ]);
    expect(received({ participants: [camera, { participantId: 'ann' }] })).toEqual(['a1', 'a2']);
  });

  it('is never what the participant publishes itself', () => {
    expect(received({ participants: [{ participantId: 'bob' }] })).toEqual([]);
    expect(received({ sessionId: 's' }, 'ann')).toEqual(['b1', 'c1']);
  });

  it('is computed for each member', () => {
    const members = [
      { participantId: 'ann', subscriptions: { sessionId: 's' } },
      { participantId: 'bob', subscriptions: {} },
    ];
    const all = deliveries(members, PUBLISHED);
    expect([...all.keys()]).toEqual(['ann', 'bob']);
    expect(all.get('ann')).toHaveLength(2);
    expect(all.get('bob')).toEqual([]);
  });
});
