export { Admission, CAUSES } from './admission.js';
export { LoadMeter, systemMeterClock } from './load-meter.js';
