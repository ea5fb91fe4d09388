export { type Direction, encoding, receives, reverse, sends } from './read.js';
export { fmtpParameter, integer, parseLines, type SdpLimits, splitLines, text } from './read.js';
