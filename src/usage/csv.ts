import type { UsageRecord } from './records.js';

type Column = readonly [name: string, value: (record: UsageRecord) => string | number | undefined];

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
];

/** The records as CSV (RFC 4180), times in ISO 8601, with a header line unless they continue others. */
export function usageCsv(records: readonly UsageRecord[], { header = true } = {}): string {
  const lines = records.map((record) => COLUMNS.map(([, value]) => field(value(record))));
  return [...(header ? [COLUMNS.map(([name]) => name)] : []), ...lines]
    .map((line) => `${line.join(',')}\r\n`)
    .join('');
}

/**
 * A spreadsheet takes text that begins so for a formula, and callers choose their names: an apostrophe before it
 * makes it text again. A phone number with its plus is left as it is, since it can do nothing.
 */
const FORMULA = /^[=+\-@\t\r]/;
const PHONE_NUMBER = /^\+[0-9]+$/;

function field(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = FORMULA.test(value) && !PHONE_NUMBER.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function isoTime(at: number): string {
  return new Date(at).toISOString();
}
