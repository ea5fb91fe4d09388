export { type DigitListener, DtmfReceiver } from './dtmf-receiver.js';
export { DTMF_PAYLOAD_LENGTH, DtmfSender, DtmfTones } from './dtmf-sender.js';
export * from './feedback.js';
export * from './header.js';
export { Renumbering } from './renumbering.js';
export * from './rtcp.js';
export { readVoipMetrics, type VoipMetrics } from './xr.js';
