export { startFreeswitch } from './freeswitch.js';
export type { FreeswitchStatus } from './freeswitch.js';
