import type { CarriedDevice, MediaStreamInfo } from '../../../media/index.js';
import type { Log } from '../../../shared/index.js';
import type { CallStore, MediaState, StoredCall } from './call-keeper.js';
import { type CallRecord, readCallRecord } from './call-record.js';

/** A call that an earlier gateway has left. */
export interface LeftCall {
  readonly record: CallRecord;
  /** What the phone publishes, if its media host has carried its media on; absent: that has died too, or closed them. */
  readonly carried?: readonly MediaStreamInfo[];
  /** Of the media, from their host or, when that has died, from the store. */
  readonly media?: MediaState | undefined;
  readonly isStored: boolean;
  /** Another gateway had it, which is gone: its dialog and its media are to be offered anew. */
  readonly isElsewhere?: true;
}

/**
 * The calls that can be gone on with: those that media hosts carried on, and those in the store. What cannot be read
 * is forgotten, and its media are closed with the others that nobody adopts.
 */
export async function leftCalls({
  carried,
  hosts,
  calls,
  sipServers,
  gatewayId,
  log,
}: {
  readonly carried: readonly CarriedDevice[];
  /** The media hosts that are alive. */
  readonly hosts: readonly string[];
  readonly calls: CallStore;
  /** Those that may have the dialogs. */
  readonly sipServers: readonly string[];
  /** Those that another gateway had were being taken over when this one died. Absent: there is no other. */
  readonly gatewayId?: string | undefined;
  readonly log: Log;
}): Promise<LeftCall[]> {
  const left = new Map<string, LeftCall>();
  const stored = new Map((await calls.calls()).map(({ id, document }) => [id, readStored(document)]));
  // If the host lives and carries the call no more, it was over: the gateway died before it had written that.
  const isOver = ({ media }: LeftCall): boolean => media?.host !== undefined && hosts.includes(media.host);
  for (const [id, call] of stored) {
    if (!call) continue;
    if (!isOver(call)) left.set(id, call);
    else if (!carried.some(({ deviceId }) => deviceId === id)) {
      // If the phone did not hang up itself, our BYE may have died with the gateway.
      left.set(id, { record: { ...call.record, owedBye: call.record.byeHeaders }, isStored: true });
    }
  }
  for (const { deviceId, kind, note, streams, state, stateAt, host } of carried) {
    // Its host had no time to close it.
    if (left.get(deviceId)?.record.owedBye) continue;
    // What the host has is newer than what the store has, and the store may have nothing yet.
    const record = kind === 'phone' ? readCallRecord(note) : undefined;
    const media =
      state === undefined || stateAt === undefined
        ? undefined
        : { state, stateAt, ...(host !== undefined && { host }) };
    if (record) left.set(deviceId, { record, carried: streams, media, isStored: stored.has(deviceId) });
    else left.delete(deviceId);
  }
  for (const [id, { record }] of left) if (!sipServers.includes(record.sipServer)) left.delete(id);
  for (const id of stored.keys()) {
    if (left.has(id)) continue;
    log.warn({ connectionId: id }, 'A call of the gateway before cannot be gone on with: it is lost.');
    calls.deleteCall(id);
  }
  return [...left.values()].map((call) => (isOwn(call, gatewayId) ? call : { ...call, isElsewhere: true }));
}

/** What another gateway has kept of a call that is to go on here; undefined when it cannot be read. */
export function takenCall(document: string): LeftCall | undefined {
  const call = readStored(document);
  return call && { ...call, isElsewhere: true };
}

function isOwn({ record }: LeftCall, gatewayId: string | undefined): boolean {
  return record.gateway === undefined || record.gateway === gatewayId;
}

function readStored(document: string): LeftCall | undefined {
  try {
    const { note, state, stateAt, host } = JSON.parse(document) as Partial<StoredCall>;
    const record = readCallRecord(note ?? '');
    if (record?.owedBye) return { record, isStored: true };
    return record && typeof state === 'string' && typeof stateAt === 'number'
      ? { record, media: { state, stateAt, ...(host !== undefined && { host }) }, isStored: true }
      : undefined;
  } catch {
    // The caller logs it.
    return undefined;
  }
}
