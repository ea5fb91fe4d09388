import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import type { DeviceGate, DeviceInfo, EndReason } from '../../core/index.js';
import type { PhoneDoor, SipSource } from '../../media/index.js';
import type { PhoneCall } from './call.js';
import type { ByeEvents } from './dialog/bye.js';
import type { FailedCallReports } from './failed-call-reports.js';
import type { CallStore, EmbeddedServer, KeeperOptions, FreeswitchRecords } from './restore/call-keeper.js';
import type { SipDialog } from './sip.js';
import type { CallObserver } from './refusal.js';

/** The part of the core's gate that phones need. */
export type PhoneGate = Pick<
  DeviceGate,
  | 'admitDevice'
  | 'authenticate'
  | 'callFailed'
  | 'connect'
  | 'connectedDevice'
  | 'participantOf'
  | 'registerKind'
>;

/** For how long the gateway has its calls to itself: while it is cut off, another one may go on with them. */
export interface CallLease {
  /** Whether requests may be sent in calls now. */
  readonly isHeld: boolean;
  /** Resolves when they may be sent again. */
  whenHeld(): Promise<void>;
}

export interface PhoneAppOptions {
  /** A drachtio-srf application object. The caller connects it to a SIP server. */
  readonly srf: Srf;
  readonly gate: PhoneGate;
  readonly media: PhoneDoor;
  /** Where refused calls are reported. Default: one of its own. */
  readonly failedCallReports?: FailedCallReports;
  readonly log: Logger;
  /** Headers that may carry a token, besides User-to-User. Default `X-Participant-Token`. */
  readonly tokenHeaders?: readonly string[];
  /** Headers of the INVITE that are shown with the device. Default none. */
  readonly shownHeaders?: readonly string[];
  /** CIDRs of peers whose P-Asserted-Identity is trusted. Default none. */
  readonly trustedPeers?: readonly string[];
  /** Longest duration of a call in ms. Default 0: as long as its participant lives. */
  readonly maxCallMs?: number;
  /**
   * Session interval in s (RFC 4028) for phones that support session timers but name no interval. With it the gateway
   * notices that a phone died while on hold. Default 1800; 0: none.
   */
  readonly sessionExpiresS?: number;
  /** The operator knows everybody who can send requests: then the tags of a call suffice to replace it. */
  readonly knowsPeers?: boolean;
  /** Names the SIP server, the same over restarts: calls are restored with the server that has their dialogs. */
  readonly sipServer?: string;
  /** Absent with drachtio-server. */
  readonly embedded?: EmbeddedServer;
  /** Absent: no other gateway takes calls over. */
  readonly lease?: CallLease;
  /** Names the gateway in what it keeps of calls, the same over restarts. Absent: it is the only one. */
  readonly gatewayId?: string;
  /** Absent without FreeSWITCH. */
  readonly freeswitch?: FreeswitchRecords;
  /** Where calls outlive both the gateway and their media host. Absent: nowhere. */
  readonly calls?: CallStore;
  /** Shortest session interval in s that phones may ask for (Min-SE). Default 90, the minimum of RFC 4028. */
  readonly minSessionS?: number;
  /** Whether a phone may transfer its call by REFER, so that the gateway calls the target. Default no. */
  readonly acceptTransfers?: boolean;
  readonly observer?: CallObserver;
  /** Asked about every new call. @returns the seconds of Retry-After when the call is refused */
  readonly admit?: (source: string, isTest: boolean) => number | undefined;
  /** Whether an INVITE with this Call-ID is a test call of the gateway's own; asked once for each. Default: none is. */
  readonly isTestCall?: (callId: string) => boolean;
}

/** Where an INVITE came from. */
export interface CallOrigin extends SipSource {
  readonly port: number | undefined;
}

export interface PhoneCallOptions extends ByeEvents {
  readonly info: DeviceInfo;
  readonly media: PhoneDoor;
  readonly log: Logger;
  /** 0: unlimited. */
  readonly maxCallMs: number;
  /** Where its INVITE came from. */
  readonly origin: CallOrigin;
  readonly keeper: KeeperOptions;
  readonly lease?: CallLease | undefined;
  /** Called once, when the call is over and its media are closed; a BYE may still be under way. */
  readonly onEnded: (call: PhoneCall, reason: EndReason) => void;
  /** Called when another gateway has this dialog of the call. */
  readonly onTakenOver: (dialog: SipDialog) => void;
  /** Called when the call has this dialog from now on. */
  readonly onDialog: (call: PhoneCall, dialog: SipDialog) => void;
}
