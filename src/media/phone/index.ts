export { createPhoneFactory } from './factory.js';
export { PhoneEndpoint } from './phone-endpoint.js';
export { type Direction, reverse } from '../sdp/index.js';
export { MAX_SDP } from './sdp/remote-description.js';
export { offeredAudioCodecs } from './sdp/offered-codecs.js';
