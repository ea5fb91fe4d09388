export { DecoderPool } from './mixer.js';
export { FRAME_MS, MixClock } from './mix-clock.js';
export type { FrameListener } from './mix-clock.js';
export { PhoneMix } from './mixer.js';
