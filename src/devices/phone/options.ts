import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import type { DeviceGate } from '../../core/index.js';
import type { PhoneDoor } from '../../media/index.js';
import type { CallObserver } from './refusal.js';

/** The part of the core's gate that phones need. */
export type PhoneGate = Pick<
  DeviceGate,
  'admitDevice' | 'authenticate' | 'callFailed' | 'connect' | 'connectedDevice' | 'registerKind'
>;

export interface PhoneAppOptions {
  /** A drachtio-srf application object; connecting it to a SIP server is the caller's business. */
  readonly srf: Srf;
  readonly gate: PhoneGate;
  readonly media: PhoneDoor;
  readonly log: Logger;
  /** Headers that may carry a token beside User-to-User. Default `X-Participant-Token`. */
  readonly tokenHeaders?: readonly string[];
  /** Headers of the INVITE that the device shows. Default none. */
  readonly shownHeaders?: readonly string[];
  /** CIDRs of peers whose P-Asserted-Identity is believed. Default none. */
  readonly trustedPeers?: readonly string[];
  /** Longest duration of a call in ms. Default 0: as long as its participant lives. */
  readonly maxCallMs?: number;
  /**
   * Session interval in s (RFC 4028) that is asked of phones that know session timers and name none: so a phone
   * that died while on hold is found out. Default 1800; 0: none.
   */
  readonly sessionExpiresS?: number;
  /** Everybody who can send requests is known to the operator: then a call's tags alone allow to replace it. */
  readonly knowsPeers?: boolean;
  /** Whether the connection to the phone of a dialog is gone; left out: the SIP server does not tell. */
  readonly hasLostConnection?: (dialogId: string) => boolean;
  /** Shortest session interval in s that phones may ask for (Min-SE). Default 90, the least of RFC 4028. */
  readonly minSessionS?: number;
  /** A phone may transfer its call away by REFER, and the gateway calls the target. Default no. */
  readonly acceptTransfers?: boolean;
  readonly observer?: CallObserver;
  /** Asked for every new call, by the address that it comes from. @returns seconds to wait, when there is no room */
  readonly admit?: (source: string) => number | undefined;
}
