import { createPhoneFactory } from './phone/index.js';
import { LocalMediaPlane, logByEvents } from './plane.js';
import type { MediaListener, MediaPlane, MediaPlaneEvent } from './door.js';
import type { MediaPlaneOptions } from './types.js';
import { createBrowserFactory } from './browser/index.js';

export * from './door.js';
export * from './types.js';

/** Makes a media plane in this process. Nothing is bound before the first device is opened. */
export function createMediaPlane(
  options: MediaPlaneOptions,
  listener: MediaListener<MediaPlaneEvent>,
): MediaPlane {
  const log = logByEvents(listener);
  const browsers = createBrowserFactory(options, log);
  const phones = createPhoneFactory(options, log);
  return new LocalMediaPlane(options, log, {
    browser: (context, spec) => browsers.open(context, spec),
    phone: (context, before) => phones.open(context, before),
    load: () => phones.load(),
    counters: () => phones.counters(),
    stop: async () => {
      await Promise.all([browsers.stop(), phones.stop()]);
    },
  });
}
export { AUDIO_CODECS } from './codecs/index.js';
export { type Direction, MAX_SDP, offeredAudioCodecs, reverse } from './phone/index.js';
