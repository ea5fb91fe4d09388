/**
 * Phones talk in sessions while gateways and media hosts are killed at random: the gateway by SIGKILL and SIGUSR2, a host by
 * SIGKILL and SIGSTOP, both at once. Between the kills, and while they happen, subscriptions change, phones hang up and call
 * again, are hung up on, and offer their media anew. The run fails if
 *
 * - a phone does not hear exactly the tones of those whom it has subscribed to, soon after each kill and, if the gateway alone
 *   died, all the time;
 * - a packet is missing at a phone when the gateway alone died;
 * - a call does not have exactly one usage record, of the length that its phone measured;
 * - a process is left at the end.
 *
 * SOAK_KILLS (200) kills under SOAK_PHONES (50) phones with SOAK_HOSTS (2) media hosts. SOAK_SEED chooses what happens: the
 * seed of a run is printed. What is not drawn is the machine's speed. SIGINT or SIGTERM ends it early, with what was found.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leftHosts, type LogLine, startGateway, type TestGateway } from '../../../test/support/gateway.js';
import { freeUdpPort } from '../../../test/support/ports.js';
import { Rest } from '../../../test/support/rest.js';
import { Crowd } from '../talking/crowd.js';
import { MOST_TONES } from '../talking/hearing.js';
import { SoakPhone } from '../talking/phone.js';
import { Random } from '../talking/random.js';
import { wrongUsage } from '../talking/usage.js';

const KILLS = Number(process.env['SOAK_KILLS'] ?? 200);
const PHONES = Number(process.env['SOAK_PHONES'] ?? 50);
const HOSTS = Number(process.env['SOAK_HOSTS'] ?? 2);
const SEED = Number(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 1e9));
const START_MS = 180_000;
const LOCALHOST = '127.0.0.1';
const TALK_EVERY_MS = 5;
/** What every phone is to hear is heard so soon after a kill; a host that hangs is noticed after 5 s. */
const SETTLES_MS = 20_000;
/** What a host sent before its death is read by then. */
const READ_MS = 300;
/** While no gateway is there. */
const ALONE_MS = 2000;
const HANG_MS = 30_000;
/** Calls are written to the store so long after a change at most, for when gateway and host die at once. */
const STORED_MS = 2000;
const MOST_CHANGES = 5;
/** Longest time from the beginning of changes to a kill in the middle of them. */
const MIDST_MS = 400;
/** A run that goes wrong so often teaches no more. */
const MOST_WRONG = 10;

type Kill = 'gateway' | 'exchange' | 'host' | 'hang' | 'both' | 'host without gateway';
const WEIGHTS: readonly (readonly [Kill, number])[] = [
  ['gateway', 40],
  ['exchange', 15],
  ['host', 25],
  ['hang', 4],
  ['both', 8],
  ['host without gateway', 8],
];

/** The gateways of the run, one after the other, and what they logged. */
class Gateways {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'patchbay-kills-'));
  readonly log: LogLine[] = [];
  #env: Record<string, string> = {};
  #running: TestGateway | undefined;

  async start(): Promise<void> {
    if (!this.#running)
      this.#env = {
        PATCHBAY_MEDIA_HOSTS: String(HOSTS),
        PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()),
        // On a machine with other work, starts take long.
        PATCHBAY_HANDOVER_SECONDS: String(START_MS / 1000),
        PATCHBAY_LOG_LEVEL: process.env['SOAK_LOG_LEVEL'] ?? 'info',
      };
    this.#running = await startGateway({
      dataDir: this.dataDir,
      env: this.#env,
      readyWithinMs: START_MS,
    });
    this.#env['PATCHBAY_HTTP_PORT'] = String(this.#running.httpPort);
    this.#env['PATCHBAY_SIP_PORT'] = String(this.#running.sipPort);
  }

  get running(): TestGateway {
    return this.#running!;
  }

  async end(how: 'kill' | 'exchange' | 'stop'): Promise<void> {
    await this.running[how]();
    this.log.push(...this.running.log);
  }

  hosts(): number[] {
    return leftHosts(this.dataDir).sort((a, b) => a - b);
  }
}

const random = new Random(SEED);
const gateways = new Gateways();
const wrong: string[] = [];
const settledMs = new Map<Kill, number[]>();
const counts = new Map<Kill, number>();
/** When gateways died. */
const deaths: number[] = [];
let longestGapMs = 0;

function complain(what: string): void {
  wrong.push(what);
  console.error(`WRONG: ${what}`);
}

/** Waits until every phone hears what it is to hear. @returns how long that took, in ms; undefined if it did not happen */
async function settled(crowd: Crowd<SoakPhone>, withinMs: number): Promise<number | undefined> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < withinMs) {
    if (crowd.wrong(startedAt).length === 0) return performance.now() - startedAt;
    await sleep(100);
  }
  return undefined;
}

const isGatewayOnly = (kill: Kill): boolean => kill === 'gateway' || kill === 'exchange';

async function strike(kill: Kill): Promise<void> {
  if (kill !== 'host' && kill !== 'hang') deaths.push(performance.now());
  const hosts = gateways.hosts();
  const victim = hosts[random.below(hosts.length)]!;
  switch (kill) {
    case 'gateway':
      return gateways.end('kill');
    case 'exchange':
      return gateways.end('exchange');
    case 'host':
      process.kill(victim, 'SIGKILL');
      return;
    case 'hang':
      process.kill(victim, 'SIGSTOP');
      return;
    case 'both':
      process.kill(victim, 'SIGKILL');
      return gateways.end('kill');
    case 'host without gateway':
      await gateways.end('kill');
      process.kill(victim, 'SIGKILL');
      return;
  }
}

async function round(crowd: Crowd<SoakPhone>, number: number): Promise<void> {
  const kill = random.weighted(WEIGHTS);
  counts.set(kill, (counts.get(kill) ?? 0) + 1);
  const changes = crowd.draw(random, 1 + random.below(MOST_CHANGES));
  const isCalm = random.below(2) === 0 || kill === 'both' || kill === 'host without gateway';
  const midstMs = random.below(MIDST_MS);
  const name = `kill ${number} (${kill}${isCalm ? '' : ' in the midst of changes'})`;
  const making = Promise.allSettled(changes.map((change) => change()));
  if (isCalm) {
    await making;
    if ((await settled(crowd, SETTLES_MS)) === undefined)
      complain(`before ${name}: ${crowd.wrong().join('; ')}`);
    if (!isGatewayOnly(kill) && kill !== 'host' && kill !== 'hang') await sleep(STORED_MS);
  } else await sleep(midstMs);
  const before = crowd.members.map(({ talker }) => ({ callId: talker.callId, breaks: talker.tones.breaks }));
  for (const { talker } of crowd.members) talker.tones.longestGapMs = 0;
  const at = performance.now();
  await strike(kill);
  if (isCalm && isGatewayOnly(kill)) {
    // This process itself may have been held up.
    if ((await settled(crowd, ALONE_MS)) === undefined)
      complain(`while no gateway was there, after ${name}: ${crowd.wrong().join('; ')}`);
  }
  if (kill === 'host' || kill === 'hang') await sleep(READ_MS);
  else await gateways.start();
  for (const result of await making)
    if (result.status === 'rejected') complain(`a change around ${name}: ${String(result.reason)}`);
  const tookMs = await settled(crowd, kill === 'hang' ? HANG_MS : SETTLES_MS);
  if (tookMs === undefined) complain(`after ${name}: ${crowd.wrong().join('; ')}`);
  else settledMs.set(kill, [...(settledMs.get(kill) ?? []), performance.now() - at]);
  if (isGatewayOnly(kill)) {
    for (const [i, { talker: phone }] of crowd.members.entries()) {
      const { callId, breaks } = before[i]!;
      if (callId === undefined || phone.callId !== callId) continue;
      longestGapMs = Math.max(longestGapMs, phone.tones.longestGapMs);
      if (phone.tones.breaks > breaks)
        complain(`${name}: ${phone.tones.breaks - breaks} breaks in the sequence at phone ${phone.tone}`);
    }
  }
  if (tookMs === undefined) await crowd.heal();
}

/** Waits until all hosts are there, so that each kill meets as many. */
async function allHosts(): Promise<void> {
  const until = performance.now() + HANG_MS;
  while (gateways.hosts().length < HOSTS) {
    if (performance.now() > until) throw new Error('A media host that died was not replaced.');
    await sleep(50);
  }
}

const range = (values: readonly number[]): string => {
  const sorted = [...values].sort((a, b) => a - b);
  return `median ${sorted[sorted.length >> 1]?.toFixed(0) ?? '-'} ms, longest ${sorted.at(-1)?.toFixed(0) ?? '-'} ms`;
};

let kills = 0;
const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort());
if (PHONES > MOST_TONES) throw new Error(`SOAK_PHONES: at most ${MOST_TONES}, each with a tone of its own.`);
console.log(`SOAK_SEED=${SEED}: ${KILLS} kills, ${PHONES} phones, ${HOSTS} media hosts`);
await gateways.start();
const rest = new Rest(gateways.running);
const gateway = { host: LOCALHOST, port: gateways.running.sipPort };
const crowd = await Crowd.gather(
  rest,
  await Promise.all(
    Array.from({ length: PHONES }, (_, tone) =>
      SoakPhone.open({ host: LOCALHOST, gateway, tone, run: String(SEED) }),
    ),
  ),
);
const talking = setInterval(() => crowd.talk(), TALK_EVERY_MS);
try {
  if ((await settled(crowd, SETTLES_MS)) === undefined) complain(`at first: ${crowd.wrong().join('; ')}`);
  while (kills < KILLS && wrong.length < MOST_WRONG && !stopping.signal.aborted) {
    await allHosts();
    kills += 1;
    await round(crowd, kills);
    if (kills % 10 === 0) console.log(`${kills} kills, ${wrong.length} wrong`);
  }
  await crowd.hangUp();
  const usage = await wrongUsage(
    rest,
    crowd.members.map(({ participant }) => participant.id),
    crowd.members.flatMap(({ talker }) => talker.calls),
    deaths,
  );
  for (const what of usage.wrong) complain(what);
  console.log(
    `${usage.records} usage records of ${usage.answered} calls: ${usage.seconds.toFixed(0)} s, by the phones ${usage.phonesSeconds.toFixed(0)} s; ` +
      `${usage.unwritten} with an end that was not written before the gateway died`,
  );
} finally {
  clearInterval(talking);
  crowd.close();
  await gateways.end('stop');
  const left = gateways.hosts();
  if (left.length > 0) complain('media hosts are left');
  for (const pid of left) process.kill(pid, 'SIGKILL');
  const log = join(tmpdir(), `patchbay-kills-${SEED}.log`);
  if (wrong.length > 0) {
    writeFileSync(log, gateways.log.map((line) => JSON.stringify(line)).join('\n'));
    console.error(`The log of all gateways: ${log}`);
  }
  rmSync(gateways.dataDir, { recursive: true, force: true });
}
console.log(`${kills} kills`);
for (const [kill, count] of counts)
  console.log(`${count} of ${kill}; all is heard again after: ${range(settledMs.get(kill) ?? [])}`);
console.log(`longest gap at a phone while the gateway alone died: ${longestGapMs.toFixed(0)} ms`);
process.exitCode = wrong.length === 0 ? 0 : 1;
