import { csvLine } from '../usage/index.js';
import type { Call } from './calls.js';

const time = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at).toISOString();

const COLUMNS: readonly (readonly [name: string, value: (call: Call) => string | number | undefined])[] = [
  ['startedAt', (call) => time(call.startedAt)],
  ['endedAt', (call) => time(call.endedAt)],
  ['seconds', (call) => call.seconds],
  ['state', (call) => call.state],
  ['kind', (call) => call.kind],
  ['direction', (call) => call.direction],
  ['connectionId', (call) => call.connectionId],
  ['deviceId', (call) => call.deviceId],
  ['participantId', (call) => call.participantId],
  ['participantTag', (call) => call.participantTag],
  ['sessionId', (call) => call.sessionId],
  ['sessionTag', (call) => call.sessionTag],
  ['caller', (call) => call.caller],
  ['callerName', (call) => call.callerName],
  ['called', (call) => call.called],
  ['receivedCodecs', (call) => call.received?.codecs.join(' ')],
  ['sentCodecs', (call) => call.sent?.codecs.join(' ')],
  ['receivedPackets', (call) => call.quality?.received.packets],
  ['receivedLost', (call) => call.quality?.received.lost],
  ['receivedMos', (call) => call.quality?.received.mos],
  ['sentPackets', (call) => call.quality?.sent.packets],
  ['sentLost', (call) => call.quality?.sent.lost],
  ['sentMos', (call) => call.quality?.sent.mos],
  ['endReason', (call) => call.endReason],
  ['status', (call) => call.status],
  ['reason', (call) => call.reason],
  ['offeredCodecs', (call) => call.offeredCodecs?.join(' ')],
  ['explanation', (call) => call.explanation],
  ['advice', (call) => call.advice],
];

/** Calls as CSV (RFC 4180), times in ISO 8601. @param header false if the calls continue others */
export function callsCsv(calls: readonly Call[], { header = true } = {}): string {
  const lines = calls.map((call) => csvLine(COLUMNS.map(([, value]) => value(call))));
  return [...(header ? [csvLine(COLUMNS.map(([name]) => name))] : []), ...lines].join('');
}
