export { FRAME_MS, MixClock } from './mix-clock.js';
export type { FrameListener } from './mix-clock.js';
export { MixGroups } from './mix-groups.js';
export { mixFormat } from './mix-group.js';
export type { MixGroup } from './mix-group.js';
export { PhoneMix } from './phone-mix.js';
