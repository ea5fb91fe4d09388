import type { DeviceInfo, DeviceQuality, DirectionQuality, EndReason, MediaFormats } from '../core/index.js';

/** The columns of one direction's quality, by its properties. */
const QUALITY: readonly Exclude<keyof DirectionQuality, 'mosIsEstimate'>[] = [
  'packets',
  'lost',
  'discarded',
  'jitterMs',
  'roundTripMs',
  'concealedMs',
  'levelDb',
  'mos',
];

const qualityColumns = (direction: keyof DeviceQuality): Column[] =>
  QUALITY.map((name) => [
    `${direction}${name.charAt(0).toUpperCase()}${name.slice(1)}`,
    ({ quality }) => quality?.[direction][name],
  ]);

const COLUMNS: readonly Column[] = [
  ['id', (record) => record.id],
  ['connectionId', (record) => record.connectionId],
  ['accountId', (record) => record.accountId],
  ['sessionId', (record) => record.sessionId],
  ['sessionTag', (record) => record.sessionTag],
  ['participantId', (record) => record.participantId],
  ['participantTag', (record) => record.participantTag],
  ['kind', (record) => record.kind],
  ['direction', (record) => record.direction],
  ['deviceId', (record) => record.deviceId],
  ['caller', (record) => record.caller],
  ['callerName', (record) => record.callerName],
  ['called', (record) => record.called],
  ['startedAt', (record) => isoTime(record.startedAt)],
  ['endedAt', (record) => record.endedAt && isoTime(record.endedAt)],
  ['seconds', (record) => record.seconds],
  ['endReason', (record) => record.endReason],
  ['receivedCodecs', (record) => record.received?.codecs.join(' ')],
  ['receivedEncryption', (record) => record.received?.encryption],
  ['sentCodecs', (record) => record.sent?.codecs.join(' ')],
  ['sentEncryption', (record) => record.sent?.encryption],
  ...qualityColumns('received'),
  ...qualityColumns('sent'),
  ['test', (record) => (record.test ? 'true' : undefined)],
];

/**
 * Spreadsheets read text that begins like this as a formula, and callers choose their names: an apostrophe in front
 * makes it text again. A phone number with its plus stays as it is, since it is harmless.
 */
const FORMULA = /^[=+\-@\t\r]/;

const PHONE_NUMBER = /^\+[0-9]+$/;

/** Why a record ended: the connection's reason, or `moved` if the participant went on in another session. */
export type RecordEnd = EndReason | 'moved';

/**
 * One connection of a device in one session. A connection has one record, unless its participant moves to another
 * session: then each session has a record, with the same `connectionId`.
 */
export interface UsageRecord extends MediaFormats {
  readonly id: string;
  readonly connectionId: string;
  readonly accountId: string;
  readonly sessionId?: string;
  readonly sessionTag?: string;
  readonly participantId: string;
  readonly participantTag?: string;
  readonly kind: DeviceInfo['kind'];
  readonly direction: DeviceInfo['direction'];
  /** The device's `externalId`. */
  readonly deviceId: string;
  readonly caller?: string;
  readonly callerName?: string;
  readonly called?: string;
  /** It is a test call of the gateway's own. */
  readonly test?: true;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  /** Epoch milliseconds; absent while it is open. */
  readonly endedAt?: number;
  /** From start to end, or until now, with three decimals. */
  readonly seconds: number;
  readonly endReason?: RecordEnd;
  /** Of the connection from its start to the end of this record; absent while it is open, and if nothing was measured. */
  readonly quality?: DeviceQuality;
}

/** Which records of an account to report. */
export interface UsageFilter {
  /** Epoch milliseconds: records that started then or later. */
  readonly from?: number;
  /** Epoch milliseconds: records that started before then. So adjoining periods never share a record. */
  readonly to?: number;
  /** Records whose session or participant has this tag. */
  readonly tag?: string;
  readonly participantId?: string;
  /** The device's own id: a phone's Call-ID, a browser's `uniqueId`. */
  readonly deviceId?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** The `next` of the previous page. */
  readonly cursor?: string;
  /** Whether to compute totals, which takes longer than a page; default: yes. */
  readonly totals?: boolean;
}

/** The sum over all records with one tag: the session's or, if it has none, the participant's. */
export interface UsageTotal {
  /** Absent for records without a tag. */
  readonly tag?: string;
  readonly connections: number;
  readonly seconds: number;
}

/** One page of records in the order of their start, with totals over all pages, computed with the first page. */
export interface UsageReport {
  readonly items: readonly UsageRecord[];
  readonly next?: string;
  /** The longest first, at most 1,000. */
  readonly totals: readonly UsageTotal[];
}

type Column = readonly [name: string, value: (record: UsageRecord) => string | number | undefined];

/** The records as CSV (RFC 4180), times in ISO 8601. @param header false if the records continue others */
export function usageCsv(records: readonly UsageRecord[], { header = true } = {}): string {
  const lines = records.map((record) => csvLine(COLUMNS.map(([, value]) => value(record))));
  return [...(header ? [csvLine(COLUMNS.map(([name]) => name))] : []), ...lines].join('');
}

/** A line of CSV (RFC 4180). Text that a spreadsheet would take for a formula stays text. */
export function csvLine(values: readonly (string | number | undefined)[]): string {
  return `${values.map(field).join(',')}\r\n`;
}

function field(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = FORMULA.test(value) && !PHONE_NUMBER.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function isoTime(at: number): string {
  return new Date(at).toISOString();
}
