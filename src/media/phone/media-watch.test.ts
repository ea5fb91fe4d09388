import { beforeEach, describe, expect, it } from 'vitest';
import type { PhoneMediaEvent } from '../door.js';
import type { EndpointContext } from '../endpoint.js';
import { MediaWatch } from './media-watch.js';
import { negotiate, sdp } from './testing/negotiate.js';

const LIMIT_MS = 30_000;
const plain = negotiate(sdp('m=audio 4000 RTP/AVP 0')).session;
const agreed = negotiate(sdp('m=audio 4000 RTP/AVP 0 13')).session;

describe('the time limit for a phone’s media', () => {
  let watch: MediaWatch;
  let lost: number;

  beforeEach(() => {
    lost = 0;
    const emit = ({ type }: PhoneMediaEvent): void => {
      if (type === 'mediaLost') lost += 1;
    };
    const context = { options: { mediaTimeoutMs: LIMIT_MS }, emit } as EndpointContext<PhoneMediaEvent>;
    watch = new MediaWatch(context);
    watch.restart(0);
  });

  /** The second in which the phone is given up. */
  const lostAfter = (session: typeof plain): number => {
    for (let second = 1; second < 1000; second += 1) {
      watch.check(second * 1000, session);
      if (lost > 0) return second;
    }
    return Infinity;
  };

  it('is as configured', () => {
    watch.heard(0, true, false);
    expect(lostAfter(plain)).toBe(30);
  });

  it('is five times as long once comfort noise was agreed on', () => {
    watch.heard(0, true, false);
    expect(lostAfter(agreed)).toBe(150);
  });

  it('is five times as long after comfort noise that was not', () => {
    watch.heard(0, true, true);
    expect(lostAfter(plain)).toBe(150);
  });

  it('is as configured again once audio comes', () => {
    watch.heard(0, true, true);
    watch.heard(10_000, true, false);
    expect(lostAfter(plain)).toBe(40);
  });
});
