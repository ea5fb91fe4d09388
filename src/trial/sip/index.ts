export { type FinalAnswer, OutgoingCall } from './outgoing-call.js';
export { addressToward, SipSocket, type SipTarget } from './sip-socket.js';
