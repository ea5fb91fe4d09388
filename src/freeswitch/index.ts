export { startFreeswitch } from './freeswitch.js';
export type { Freeswitch, FreeswitchOptions } from './freeswitch.js';
export type { FreeswitchStatus } from './server.js';
