import type { Rest } from '../../../test/support/rest.js';
import { until } from '../../../test/support/until.js';
import { patiently } from './patience.js';
import type { SeenCall } from './seen-call.js';

/** How far a record's length may be from what the phone measured: messages and timers are late on a busy machine. */
const TOLERANCE_MS = 2000;
const CLOSED_MS = 20_000;
/** A gateway that dies so soon after the end of a call may not have written that: its record ends as crashed. */
const UNWRITTEN_MS = 1000;
/** Such a record ends at the gateway's last sign of life, which is up to so old. */
const HEARTBEAT_MS = 15_000;

interface UsageItem {
  readonly id: string;
  readonly deviceId: string;
  readonly seconds: number;
  readonly endReason?: string;
}

interface UsageOutcome {
  readonly wrong: readonly string[];
  readonly answered: number;
  readonly records: number;
  readonly seconds: number;
  readonly phonesSeconds: number;
  /** Calls whose end was not written, since the gateway died just then. */
  readonly unwritten: number;
}

/**
 * Compares the usage records with the calls as the phones saw them: one record for each, of its length.
 * @param deaths when gateways died, by `performance.now()`
 */
export async function wrongUsage(
  rest: Pick<Rest, 'request'>,
  participants: readonly string[],
  calls: readonly SeenCall[],
  deaths: readonly number[],
): Promise<UsageOutcome> {
  let unwritten = 0;
  let items: readonly UsageItem[] = [];
  const isClosed = async (): Promise<boolean> => {
    items = await allRecords(rest, participants);
    return items.every(({ endReason }) => endReason !== undefined);
  };
  const open = (): Promise<unknown> =>
    Promise.resolve(items.filter(({ endReason }) => endReason === undefined));
  const wrong: string[] = [];
  await until('all records closed', isClosed, { withinMs: CLOSED_MS, seen: open }).catch((error: unknown) =>
    wrong.push(String(error)),
  );
  const answered = calls.filter(({ answeredAt }) => answeredAt !== undefined);
  for (const call of answered) {
    const own = items.filter(({ deviceId }) => deviceId === call.callId);
    const [record] = own;
    if (!record || own.length !== 1)
      wrong.push(`${call.callId} has ${own.length} usage records: ${JSON.stringify(own)}`);
    else if (record.endReason === 'crashed' && isCutOff(call, deaths)) {
      unwritten += 1;
      if (!isRightLength(call, record, HEARTBEAT_MS)) wrong.push(`${call.callId} took ${record.seconds} s`);
    } else if (record.endReason === 'crashed') wrong.push(`${call.callId} is said to have crashed`);
    else if (!isRightLength(call, record))
      wrong.push(`${call.callId} took ${record.seconds} s: ${JSON.stringify({ ...call, record })}`);
    if (call.trouble !== undefined) wrong.push(`${call.callId}: ${call.trouble}`);
  }
  const ofAnswered = items.filter(({ deviceId }) => answered.some(({ callId }) => callId === deviceId));
  return {
    wrong,
    unwritten,
    answered: answered.length,
    records: ofAnswered.length,
    seconds: ofAnswered.reduce((sum, { seconds }) => sum + seconds, 0),
    phonesSeconds: answered.reduce((sum, call) => sum + (call.byeAt! - call.answeredAt!) / 1000, 0),
  };
}

function isCutOff({ byeAt, removedAt }: SeenCall, deaths: readonly number[]): boolean {
  const endedAt = Math.min(byeAt ?? Infinity, removedAt ?? Infinity);
  return deaths.some((death) => death >= endedAt && death - endedAt < UNWRITTEN_MS);
}

/** Between the phone's shortest and longest: from 200 to BYE (or REST), and from INVITE to the answer of the BYE. */
function isRightLength(call: SeenCall, { seconds }: UsageItem, missingMs = 0): boolean {
  const { invitedAt, answeredAt, byeAt, removedAt, overAt } = call;
  if (answeredAt === undefined || byeAt === undefined || overAt === undefined) return false;
  const ms = seconds * 1000;
  const endedAt = Math.min(byeAt, removedAt ?? byeAt);
  return ms >= endedAt - answeredAt - TOLERANCE_MS - missingMs && ms <= overAt - invitedAt + TOLERANCE_MS;
}

/** The records of all participants, one after the other: a page of the report has at most 1,000. */
async function allRecords(
  rest: Pick<Rest, 'request'>,
  participants: readonly string[],
): Promise<UsageItem[]> {
  const items: UsageItem[] = [];
  for (const id of participants) {
    const report = await patiently(() => rest.request('GET', `/usage?limit=1000&participantId=${id}`));
    items.push(...(report as { items: UsageItem[] }).items);
  }
  return items;
}
