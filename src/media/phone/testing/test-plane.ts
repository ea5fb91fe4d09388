import { LocalMediaPlane } from '../../plane.js';
import type { MediaPlaneOptions } from '../../types.js';
import { createPhoneFactory } from '../factory.js';

const silent = (): void => undefined;

/** A media plane with phones only. */
export function openPhonePlane(options: Partial<MediaPlaneOptions> = {}): LocalMediaPlane {
  const all: MediaPlaneOptions = {
    rtpHost: '127.0.0.1',
    rtpPorts: [30000, 39999],
    webrtcHost: '127.0.0.1',
    webrtcPort: 0,
    mediaTimeoutMs: 30_000,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    ...options,
  };
  const phones = createPhoneFactory(all);
  return new LocalMediaPlane(all, {
    browser: () => Promise.reject(new Error('no browsers here')),
    phone: (context) => phones.open(context),
    load: () => phones.load(),
    counters: () => phones.counters(),
    stop: () => phones.stop(),
  });
}
