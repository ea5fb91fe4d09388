export { DtmfRelay } from './dtmf-relay.js';
export { FRAME_MS, MixClock } from './mix-clock.js';
export type { FrameListener } from './mix-clock.js';
export { createMixing, MixGroups, type Mixing } from './mix-groups.js';
export { mixFormat, type MixFormat } from './mix-group.js';
export type { MixGroup } from './mix-group.js';
export { PcmTrack } from './pcm-track.js';
export { DeviceMix } from './device-mix.js';
export { MIN_PIECE_MS, TimeScale } from './time-scale.js';
