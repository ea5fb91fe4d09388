import type { Dialect, DialectName } from './dialect.js';
import { JAMBONZ } from './jambonz.js';
import { PATCHBAY } from './patchbay.js';
import { TWILIO } from './twilio.js';
import { VONAGE } from './vonage.js';

/** All dialects, by their names. */
export const DIALECTS: Readonly<Record<DialectName, Dialect>> = {
  patchbay: PATCHBAY,
  twilio: TWILIO,
  vonage: VONAGE,
  jambonz: JAMBONZ,
};

export * from './dialect.js';
