/**
 * Phones and programs talk in sessions that span gateways of one PostgreSQL, each on a machine of its own (network namespaces),
 * while processes and machines die, pause and are cut off at random: bench/soak/cluster/faults.ts. During faults, and between
 * them, subscriptions change by REST at any gateway, and calls come and go. The run fails if
 *
 * - somebody does not hear exactly the tones of those whom it has subscribed to, soon after each fault;
 * - a packet is missing at a phone whose media host lived on;
 * - what REST acknowledged is lost, at any gateway;
 * - a participant has no device, or another one than its talker knows, or the gateways have other calls than the phones;
 * - a phone is hung up on, though REST has not asked for that;
 * - a phone hears nothing before its gateway is back that was away for longer than its lease: another one is to take it over;
 * - a call does not have exactly one usage record, of the length that its phone measured;
 * - a process is left at the end.
 *
 * SOAK_KILLS (40) faults under SOAK_PHONES (9) phones and SOAK_PROGRAMS (3) programs at SOAK_GATEWAYS (3) gateways with
 * SOAK_HOSTS (1) media hosts each, and SOAK_LEASE (10) as PATCHBAY_EDGE_LEASE. SOAK_SEED chooses what happens: the seed of a run is printed. What is not drawn is the
 * machine's speed. SIGINT or SIGTERM ends it early, with what was found.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { farNetworkMissing } from '../../../test/support/far-network.js';
import { Crowd, type Member } from '../talking/crowd.js';
import { MOST_TONES } from '../talking/hearing.js';
import { SoakPhone } from '../talking/phone.js';
import { SoakProgram } from '../talking/program.js';
import { Random } from '../talking/random.js';
import { wrongUsage } from '../talking/usage.js';
import { drawFault, leavesHosts, strike, undo } from './faults.js';
import { Gaps } from './gaps.js';
import { Platform } from './platform.js';
import { Writer } from './writer.js';

const FAULTS = Number(process.env['SOAK_KILLS'] ?? 40);
const PHONES = Number(process.env['SOAK_PHONES'] ?? 9);
const PROGRAMS = Number(process.env['SOAK_PROGRAMS'] ?? 3);
const GATEWAYS = Number(process.env['SOAK_GATEWAYS'] ?? 3);
const HOSTS = Number(process.env['SOAK_HOSTS'] ?? 1);
const LEASE_S = Number(process.env['SOAK_LEASE'] ?? 10);
const SEED = Number(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 1e9));
const TALK_EVERY_MS = 5;
/** All is well so long after the end of a fault at most, also on a busy machine. */
const SETTLES_MS = 120_000;
/** A gateway that is away for longer is given up, and others take over its phones. */
const GIVEN_UP_MS = 1000 * LEASE_S + 3000;
/** Others may have noticed earlier that it is away. */
const MARGIN_MS = 1000;
/** How long the gaps of the machine itself are measured, before a fault. */
const CONTROL_MS = 4000;
const CONTROL = 'none, for comparison';
const MOST_CHANGES = 4;
/** Longest time from the beginning of changes to a fault in the middle of them. */
const MIDST_MS = 400;
/** Calls are written to the store so long after a change at most, for when gateway and host die at once. */
const STORED_MS = 2000;
/** Until it has been written for the first time, a call cannot be taken over. */
const YOUNG_MS = 400;
/** A run that goes wrong so often teaches no more. */
const MOST_WRONG = 10;

type SoakTalker = SoakPhone | SoakProgram;

/** A device as REST shows it. */
interface SeenDevice {
  readonly id: string;
  readonly externalId: string;
}

const random = new Random(SEED);
const wrong: string[] = [];
const gaps = new Gaps();
/** When gateways died. */
const deaths: number[] = [];

function complain(what: string): void {
  wrong.push(what);
  console.error(`WRONG: ${what}`);
}

const missing = farNetworkMissing();
if (missing !== undefined) throw new Error(`There can be no network of namespaces here: it ${missing}.`);
if (PHONES + PROGRAMS > MOST_TONES)
  throw new Error(`At most ${MOST_TONES} talkers: each has a tone of its own.`);

const phonesOf = (crowd: Crowd<SoakTalker>): SoakPhone[] =>
  crowd.members.flatMap(({ talker }) => (talker instanceof SoakPhone ? talker : []));

async function untilReady(platform: Platform): Promise<void> {
  const limit = performance.now() + SETTLES_MS;
  while (!(await platform.isReady())) {
    if (performance.now() > limit) throw new Error('A gateway is not ready.');
    await sleep(100);
  }
}

/** Whether its call was answered just now. */
function isYoung({ isInCall, calls }: SoakPhone): boolean {
  return isInCall && performance.now() - (calls.at(-1)?.answeredAt ?? 0) < YOUNG_MS;
}

/** What the gateways say of the devices, compared with what the talkers know. */
async function wrongDevices(platform: Platform, crowd: Crowd<SoakTalker>): Promise<string[]> {
  const found: string[] = [];
  for (const { talker, participant } of crowd.members) {
    if (!talker.isInCall) continue;
    const device = await platform.get<SeenDevice>(`/participants/${participant.id}/device`);
    const known = talker instanceof SoakPhone ? device?.externalId : device?.id;
    if (known !== talker.callId)
      found.push(`${talker.tone} has the device ${String(known)}, and not ${String(talker.callId)}`);
  }
  const expected = phonesOf(crowd).filter(({ isInCall }) => isInCall).length;
  // A gateway that was given up hangs up what it still has.
  const limit = performance.now() + SETTLES_MS;
  let calls = await platform.calls();
  for (; calls !== expected && performance.now() < limit; calls = await platform.calls()) await sleep(100);
  if (calls !== expected) found.push(`the gateways have ${calls} calls, the phones ${expected}`);
  return found;
}

/** Those who hung up on their own account, and programs that were sent away. */
function unasked(crowd: Crowd<SoakTalker>): string[] {
  const byes = phonesOf(crowd)
    .flatMap(({ calls }) => calls)
    .filter(({ isHungUpUnasked }) => isHungUpUnasked === true);
  for (const call of byes) call.isHungUpUnasked = false;
  const closings = crowd.members.flatMap(({ talker }) =>
    talker instanceof SoakProgram ? talker.closings.splice(0).map((why) => `${talker.tone}: ${why}`) : [],
  );
  return [...byes.map(({ callId }) => `${callId}: BYE`), ...closings];
}

const writing = { total: 0, refused: 0 };

async function round(platform: Platform, crowd: Crowd<SoakTalker>, number: number): Promise<void> {
  const { machines, database } = platform;
  const fault = drawFault(random, GATEWAYS, GIVEN_UP_MS);
  const victim = machines[fault.victim]!;
  const changes = crowd.draw(random, 1 + random.below(MOST_CHANGES));
  const isCalm = random.below(3) > 0 || !leavesHosts(fault);
  const midstMs = random.below(MIDST_MS);
  const isAtGateway = fault.kind !== 'database dies';
  const isLeader = isAtGateway && (await platform.leader()) === fault.victim;
  const row = isLeader ? `${fault.kind} (it leads)` : fault.kind;
  const where = isAtGateway ? ` at ${victim.name}` : '';
  const name = `fault ${number} (${row}${where} for ${fault.lastsMs} ms${isCalm ? '' : ', in the midst of changes'})`;
  const making = Promise.allSettled(changes.map((change) => change()));
  if (isCalm) {
    await making;
    const unsettled = await crowd.settled(SETTLES_MS);
    if (unsettled.length > 0) complain(`before ${name}: ${unsettled.join('; ')}`);
    if (!leavesHosts(fault)) await sleep(STORED_MS);
  } else {
    await sleep(midstMs);
    while (phonesOf(crowd).some(isYoung)) await sleep(10);
  }

  const before = phonesOf(crowd).map((phone) => ({
    phone,
    callId: phone.callId,
    host: phone.gatewayHost,
    breaks: phone.tones.breaks,
  }));
  // A program at a gateway that is cut off goes on there: nothing tells it to go elsewhere.
  const isStuck = ({ talker }: Member<SoakTalker>): boolean =>
    talker instanceof SoakProgram && fault.kind.startsWith('cut off') && talker.gateway === victim.wsUrl;
  const stuck = new Set(crowd.members.filter(isStuck).map(({ talker }) => talker.tone));
  const measured = crowd.members.filter((member) => !isStuck(member));
  const measure = (): void => {
    for (const member of measured)
      member.talker.hearing.measureLack(
        new Set([...crowd.wanted(member)].filter((tone) => !stuck.has(tone))),
      );
  };
  const longestLack = (): number => Math.max(...measured.map(({ talker }) => talker.hearing.endOfLack()));
  if (isCalm) {
    measure();
    await sleep(CONTROL_MS);
    gaps.add(CONTROL, longestLack());
    measure();
  }
  for (const machine of machines) machine.forgetAbsence();
  const writer = new Writer(machines.map(({ rest }) => rest));
  writer.start();
  const at = performance.now();
  if (fault.kind.includes('dies')) deaths.push(at);
  await strike(fault, victim, database);
  await sleep(fault.lastsMs);
  await undo(fault, victim, database);
  await untilReady(platform);
  for (const result of await making)
    if (result.status === 'rejected') complain(`a change around ${name}: ${String(result.reason)}`);
  const unsettled = await crowd.settled(SETTLES_MS);
  const isWell = unsettled.length === 0;
  if (!isWell) complain(`after ${name}: ${unsettled.join('; ')}`);
  if (isCalm && isWell) {
    const lackMs = longestLack();
    gaps.add(row, lackMs, performance.now() - at);
    if (fault.lastsMs > GIVEN_UP_MS && lackMs > fault.lastsMs)
      complain(
        `${name}: sound was missing for ${lackMs.toFixed(0)} ms: no gateway took the phones over in time`,
      );
  }
  // On a busy machine another fault may have made a gateway be away for longer than its lease.
  const kept = machines.filter(({ longestAwayMs }) => longestAwayMs < 1000 * LEASE_S - MARGIN_MS);
  if (leavesHosts(fault))
    for (const { phone, callId, host, breaks } of before) {
      const isKept = phone.gatewayHost === host && kept.some((machine) => machine.host === host);
      if (isKept && callId !== undefined && phone.callId === callId && phone.tones.breaks > breaks)
        complain(`${name}: ${phone.tones.breaks - breaks} breaks in the sequence at phone ${phone.tone}`);
    }
  for (const what of unasked(crowd)) complain(`${name}: unasked: ${what}`);
  for (const what of await writer.stop()) complain(`${name}: ${what}`);
  writing.total += writer.total;
  writing.refused += writer.refused;
  if (isWell) for (const what of await wrongDevices(platform, crowd)) complain(`after ${name}: ${what}`);
  console.log(
    `${name}: ${isWell ? 'all is well' : 'not well'} after ${((performance.now() - at) / 1000).toFixed(1)} s`,
  );
  if (!isWell) await crowd.heal();
}

async function gather(platform: Platform): Promise<Crowd<SoakTalker>> {
  const { machines, network } = platform;
  const talkers: SoakTalker[] = [];
  for (let tone = 0; tone < PHONES + PROGRAMS; tone += 1) {
    const gateway = machines[tone % GATEWAYS]!;
    // Programs lie between the phones, so that each session has some.
    const isProgram =
      Math.floor(((tone + 1) * PROGRAMS) / (PHONES + PROGRAMS)) >
      Math.floor((tone * PROGRAMS) / (PHONES + PROGRAMS));
    const urls = [...machines.slice(gateway.at), ...machines.slice(0, gateway.at)].map(({ wsUrl }) => wsUrl);
    talkers.push(
      isProgram
        ? new SoakProgram({ gateways: urls, tone })
        : await SoakPhone.open({ host: network.phonesHost, gateway: gateway.sip, tone, run: String(SEED) }),
    );
  }
  return Crowd.gather(platform.rest, talkers);
}

const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());
console.log(
  `SOAK_SEED=${SEED}: ${FAULTS} faults, ${GATEWAYS} gateways with ${HOSTS} media hosts each, ${PHONES} phones, ${PROGRAMS} programs`,
);
const platform = await Platform.start({ gateways: GATEWAYS, hosts: HOSTS, leaseS: LEASE_S });
let crowd: Crowd<SoakTalker> | undefined;
let talking: NodeJS.Timeout | undefined;
let faults = 0;
try {
  crowd = await gather(platform);
  talking = setInterval(() => crowd?.talk(), TALK_EVERY_MS);
  const unsettled = await crowd.settled(SETTLES_MS);
  if (unsettled.length > 0) complain(`at first: ${unsettled.join('; ')}`);
  while (faults < FAULTS && wrong.length < MOST_WRONG && !stopping.signal.aborted)
    await round(platform, crowd, (faults += 1));
  await crowd.hangUp();
  const phones = crowd.members.filter(({ talker }) => talker instanceof SoakPhone);
  const usage = await wrongUsage(
    platform.rest,
    phones.map(({ participant }) => participant.id),
    phonesOf(crowd).flatMap(({ calls }) => calls),
    deaths,
  );
  for (const what of usage.wrong) complain(what);
  console.log(
    `${usage.records} usage records of ${usage.answered} calls: ${usage.seconds.toFixed(0)} s, by the phones ${usage.phonesSeconds.toFixed(0)} s; ` +
      `${usage.unwritten} have an end that was not written before the gateway died`,
  );
} catch (error) {
  complain(`the run ended: ${String(error)}`);
} finally {
  clearInterval(talking);
  crowd?.close();
  for (const what of await platform.stop()) complain(what);
  if (wrong.length > 0)
    console.error(`The log of all gateways: ${platform.writeLog(`patchbay-cluster-${SEED}.log`)}`);
}
console.log(`${writing.total} changes were acknowledged during faults and kept, ${writing.refused} refused`);
const ends = platform.machines.map(({ name, ends: count }) => `${name} ${count}`).join(', ');
console.log(`deposed leaders and others that ended by themselves, and were started again: ${ends}`);
console.log(`${faults} faults, ${wrong.length} wrong\n${gaps.table()}`);
process.exitCode = wrong.length === 0 ? 0 : 1;
