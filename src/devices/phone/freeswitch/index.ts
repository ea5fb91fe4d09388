export { startFreeswitch } from './freeswitch.js';
export type { Freeswitch, FreeswitchOptions, FreeswitchStatus } from './freeswitch.js';
