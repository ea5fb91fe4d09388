export { createPhoneApp, PhoneApp } from './app.js';
export type { PhoneCounts } from './app.js';
export type { PhoneAppOptions, PhoneMedia } from './options.js';
export { SipClient } from './sip-client.js';
export type { SipClientOptions } from './sip-client.js';
