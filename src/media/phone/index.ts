export { createPhoneFactory } from './factory.js';
export type { PhoneFactory } from './factory.js';
