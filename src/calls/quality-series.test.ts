import { describe, expect, it } from 'vitest';
import { ACCOUNT, connectTalking, coreForTests, newParticipant } from '../core/testing/index.js';
import { QualityHistory } from './quality-series.js';

/** A core whose devices are measured every 5 s. */
function stage(accountBytes?: number) {
  const { core, clock } = coreForTests();
  const history = new QualityHistory(core, accountBytes);
  const connect = () => {
    const { device, connection } = connectTalking(core, newParticipant(core));
    let packets = 0;
    /** @param steps of 250 packets each */
    const measure = (steps: number, mos = 4.2): void => {
      for (let i = 0; i < steps; i += 1) {
        clock.advance(5_000);
        packets += 250;
        const received = { packets, lost: packets / 250, jitterMs: 3, mos };
        connection.measured({ received, sent: { packets } });
      }
    };
    return { id: device.info.id, connection, measure };
  };
  return { history, connect, clock };
}

describe('the quality of a call over its time', () => {
  it('has what was added in each step, and what was measured at its end', () => {
    const { history, connect } = stage();
    const call = connect();
    call.measure(1, 4.25);
    call.measure(1, 3.5);
    const { stepSeconds, points } = history.of(ACCOUNT, call.id)!;
    expect(stepSeconds).toBe(5);
    expect(points.map(({ received, sent }) => ({ received, sent }))).toEqual([
      { received: { packets: 250, lost: 1, jitterMs: 3, mos: 4.25 }, sent: { packets: 250 } },
      { received: { packets: 250, lost: 1, jitterMs: 3, mos: 3.5 }, sent: { packets: 250 } },
    ]);
    expect(points[1]!.at - points[0]!.at).toBe(5_000);
    expect(history.of('other', call.id)).toBeUndefined();
  });

  it('is thinned after an hour, and loses no packet by that', () => {
    const { history, connect } = stage();
    const call = connect();
    call.measure(720);
    expect(history.of(ACCOUNT, call.id)).toMatchObject({ stepSeconds: 5, points: { length: 720 } });
    call.measure(1);
    expect(history.of(ACCOUNT, call.id)).toMatchObject({ stepSeconds: 10, points: { length: 361 } });
    call.measure(4_279);
    const { stepSeconds, points } = history.of(ACCOUNT, call.id)!;
    expect(stepSeconds).toBe(40);
    expect(points.length).toBeLessThanOrEqual(720);
    expect(points.reduce((sum, { received }) => sum + received.packets, 0)).toBe(5_000 * 250);
    expect(points.reduce((sum, { received }) => sum + received.lost!, 0)).toBe(5_000);
    const times = points.map(({ at }) => at);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(new Set(points.map(({ received }) => received.mos))).toEqual(new Set([4.2]));
  });

  it('outlives the call, until others need the room; the oldest leave first', () => {
    const { history, connect } = stage(200_000);
    const calls = Array.from({ length: 8 }, connect);
    for (const call of calls) {
      call.measure(720);
      call.connection.end('left');
    }
    expect(calls.map(({ id }) => history.of(ACCOUNT, id) !== undefined)).toEqual([
      ...Array<boolean>(5).fill(false),
      ...Array<boolean>(3).fill(true),
    ]);
    expect(history.counts().bytes).toBeLessThanOrEqual(200_000);
  });

  it('of calls that are up loses detail where there is no room', () => {
    const { history, connect } = stage(200_000);
    const calls = Array.from({ length: 8 }, connect);
    for (const call of calls) call.measure(720);
    for (const { id } of calls) {
      const { points } = history.of(ACCOUNT, id)!;
      expect(points.reduce((sum, { received }) => sum + received.packets, 0)).toBe(720 * 250);
    }
    expect(history.counts()).toMatchObject({ dropped: 0 });
    expect(history.counts().bytes).toBeLessThanOrEqual(200_000);
  });

  it('is not kept of more calls at once than there is room for', () => {
    const { history, connect } = stage(10_000);
    const calls = Array.from({ length: 8 }, connect);
    for (const call of calls) call.measure(1);
    expect(calls.filter(({ id }) => history.of(ACCOUNT, id)).length).toBe(2);
    expect(history.counts().dropped).toBe(6);
  });
});
