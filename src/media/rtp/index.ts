export * from './header.js';
export * from './extensions.js';
export * from './sequence.js';
export * from './rtcp.js';
export * from './feedback.js';
export * from './transport-cc.js';
export * from './ntp.js';
export { type DigitListener, DtmfReceiver } from './dtmf-receiver.js';
export { ReceptionStatistics } from './reception.js';
