export { createPhoneFactory } from './factory.js';
export { type Direction, MAX_SDP, reverse } from './sdp/remote-description.js';
