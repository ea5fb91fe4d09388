export { createPhoneApp, PhoneApp } from './app.js';
export { FailedCallReports } from './failed-call-reports.js';
export { type CallObserver, noRoom } from './refusal.js';
export type { PhoneAppOptions } from './options.js';
export { APP_TAG, SipClient } from './sip-client.js';
export { speaksForParticipant } from './tokens/authenticate.js';
export type { FreeswitchStatus } from './freeswitch/index.js';
export { startFreeswitch } from './freeswitch/index.js';
