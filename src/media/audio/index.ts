export { DecoderPool } from './decoder-pool.js';
export { FRAME_MS, MixClock } from './mix-clock.js';
export type { FrameListener } from './mix-clock.js';
export { PhoneMix } from './phone-mix.js';
