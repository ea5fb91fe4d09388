export { FRAME_MS, MixClock } from './mix-clock.js';
export type { FrameListener } from './mix-clock.js';
export { PhoneMix } from './mixer.js';
export { DecoderPool } from './stream-decoder.js';
