export { createPhoneApp, PhoneApp } from './app.js';
export type { PhoneCounts } from './app.js';
export type { PhoneAppOptions, PhoneMedia } from './options.js';
