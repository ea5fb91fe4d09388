import type { DeviceInfo, EndReason } from '../core/index.js';

/** Why a record ended: as its connection did, or because the participant went on in another session. */
export type RecordEnd = EndReason | 'moved';

/**
 * One connection of a device, as far as it was in one session. A connection has one record, unless its
 * participant moves from a session to another: each session has its own then, with the same `connectionId`.
 */
export interface UsageRecord {
  readonly id: string;
  readonly connectionId: string;
  readonly accountId: string;
  readonly sessionId?: string;
  readonly sessionTag?: string;
  readonly participantId: string;
  readonly participantTag?: string;
  readonly kind: DeviceInfo['kind'];
  readonly direction: DeviceInfo['direction'];
  /** The id that the device names itself by. */
  readonly deviceId: string;
  readonly caller?: string;
  readonly callerName?: string;
  readonly called?: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Epoch milliseconds; absent while it goes on. */
  readonly endedAt?: number;
  /** From start to end, or to now; in milliseconds' precision. */
  readonly seconds: number;
  readonly endReason?: RecordEnd;
}

/** Which records of an account to report. */
export interface UsageFilter {
  /** Epoch milliseconds: records that started then or later. */
  readonly from?: number;
  /** Epoch milliseconds: records that started before then. A record is so in one period alone. */
  readonly to?: number;
  /** Records whose session or participant has this tag. */
  readonly tag?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** The `next` of the page before. */
  readonly cursor?: string;
  /** Whether totals are wanted, which take longer than a page; default: yes. */
  readonly totals?: boolean;
}

/** The sum over all records with a tag: their session's, else their participant's. */
export interface UsageTotal {
  /** Absent for records without a tag. */
  readonly tag?: string;
  readonly connections: number;
  readonly seconds: number;
}

/** One page of records in the order of their start, with totals over all pages as they were at the first. */
export interface UsageReport {
  readonly items: readonly UsageRecord[];
  readonly next?: string;
  /** The longest first, at most 1,000. */
  readonly totals: readonly UsageTotal[];
}
