export {
  Admission,
  type AdmissionLimits,
  type AdmissionOptions,
  CAUSES,
  type Cause,
  type Kind,
  type Load,
  type Refusal,
} from './admission.js';
export { LoadMeter, type MeterClock, systemMeterClock } from './load-meter.js';
