import { createPhoneFactory } from './phone/index.js';
import { LocalMediaPlane } from './plane.js';
import type { MediaPlane, MediaPlaneOptions } from './types.js';
import { createBrowserFactory } from './browser/index.js';

export * from './types.js';

/** Makes a media plane in this process. Nothing is bound before the first device is opened. */
export function createMediaPlane(options: MediaPlaneOptions): MediaPlane {
  const browsers = createBrowserFactory(options);
  const phones = createPhoneFactory(options);
  return new LocalMediaPlane(options, {
    browser: (context, openOptions) => browsers.open(context, openOptions),
    phone: (context) => phones.open(context),
    load: () => phones.load(),
    counters: () => phones.counters(),
    stop: async () => {
      await Promise.all([browsers.stop(), phones.stop()]);
    },
  });
}
export { AUDIO_CODECS } from './codecs/index.js';
export type { MediaEvents, MediaPlane, MediaStreamInfo, OmittedTrack, SubscribeOffer } from './types.js';
export { MediaError, type PublishAnswer, type RefusedTrack } from './types.js';
export type { MediaDelivery, MediaKind } from './types.js';
export type { PhoneDescription, SipSource } from './types.js';
export { type Direction, MAX_SDP, offeredAudioCodecs, reverse } from './phone/index.js';
export type { PhoneSource } from './types.js';
export type { DeviceStatistics, OpenPhoneOptions } from './types.js';
export type { MediaErrorCode } from './types.js';
