export { createPhoneFactory } from './factory.js';
export { type Direction, reverse } from '../sdp/index.js';
export { MAX_SDP } from './sdp/remote-description.js';
