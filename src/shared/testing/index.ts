export { FakeClock } from './fake-clock.js';
export { silentLog } from './silent-log.js';
