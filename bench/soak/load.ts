/**
 * A long run: phones call, talk in sessions and hang up; a browser comes and goes; some phones stay and have their
 * sessions refreshed; webhooks are received. Beside them a hostile crowd attacks all the time, from its own addresses and
 * account (`soak/hostile/`), and phones and pages behave badly, as real ones do (`soak/ill-behaved/`). The run fails if a
 * call fails, if two phones that talk all the time lose more than 1 % of their packets, if an attack succeeds, if the
 * ill-behaved are not heard, disturb others or have digits reported more or less than once, if something is left at the
 * end, or if memory, files or sockets grow.
 *
 * SOAK_SECONDS (600) seconds of SOAK_RATE (10) calls each second.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { launchChromium } from '../../test/support/chromium.js';
import { Bystander, type Disturbance, OTHER_ACCOUNT } from '../../test/support/bystander.js';
import { startGateway, type TestGateway } from '../../test/support/gateway.js';
import { DEVELOPMENT_ACCOUNT, Rest } from '../../test/support/rest.js';
import { type LoadOutcome, placeManyCalls } from '../../test/support/sipp-load.js';
import { type Steps, phoneOffer, placeCall, type SippCall } from '../../test/support/sipp.js';
import { until } from '../../test/support/until.js';
import { WebhookReceiver } from '../../test/support/webhook-receiver.js';
import { type HostileOutcome, runHostileCrowd } from './hostile/index.js';
import { runIllBehavedCrowd } from './ill-behaved/index.js';
import { leftOvers, readMetrics, sumOf } from '../../test/support/metrics.js';
import { type ProcessState, processState, StateLog } from './process-state.js';

const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 600);
const RATE = Number(process.env['SOAK_RATE'] ?? 10);
const HOLD_MS = 4000;
/** A participant can be in one call at a time: enough of them that none is still in a call. */
const PHONES = Math.ceil(RATE * (HOLD_MS / 1000) * 1.5);
const SESSION_SIZE = 10;
const SAMPLE_EVERY_MS = 2000;
const BROWSER_STAYS_MS = 8000;
/** Interval of the refreshed session: the shortest of RFC 4028; we refresh at half of it. */
const INTERVAL_S = 90;
/** Transactions are remembered for 32 s (RFC 3261 timers H and J). */
const FORGOTTEN_MS = 60_000;

/** How much memory may grow during a run, as a factor. */
const MEMORY_LIMIT = 1.15;
/** How many more of their packets two phones may lose during the run than two at an idle gateway. */
const LOSS_LIMIT = 0.01;
/** How long after its end the load may go on before it counts as hanging. */
const LATE_MS = 180_000;
/** If two phones at an idle gateway have longer gaps, the machine is too busy to judge by. */
const QUIET_MS = 150;
/** Loss limit on such a busy machine. */
const LOSS_LIMIT_BUSY = 0.15;
/** How many more files and sockets there may be than before the first call: for the store and idle HTTP. */
const FILES_LIMIT = 8;

/** Few enough for attackers to try them all, but twice as many pairs as phones. */
const RTP_PORTS = [20_000, 20_000 + 4 * PHONES + 199] as const;
/** For the gateway that nobody attacks. */
const IDLE_RTP_PORTS = '29000-29099';

interface Crowd {
  readonly session: string;
  readonly tokens: readonly string[];
}

/** Creates participants for phones, several in each session, who all hear each other. */
async function gather(rest: Rest, callbackUrl: string): Promise<Crowd> {
  const tokens: string[] = [];
  let session = '';
  while (tokens.length < PHONES) {
    if (tokens.length % SESSION_SIZE === 0) session = await rest.session();
    tokens.push((await rest.member(session, { callbackUrl })).token);
  }
  return { session, tokens };
}

/** A browser that repeatedly comes, talks and goes. @returns how often it came */
async function browse(gateway: TestGateway, rest: Rest, session: string, ends: number): Promise<number> {
  const chromium = await launchChromium();
  let visits = 0;
  try {
    for (; performance.now() < ends; visits += 1) {
      const { id, token } = await rest.member(session);
      const page = await chromium.openClient({ gatewayUrl: gateway.wsUrl, token });
      await page.publishTone(700);
      await sleep(BROWSER_STAYS_MS);
      await chromium.closePages();
      await rest.deleteParticipant(id);
    }
  } finally {
    await chromium.close();
  }
  return visits;
}

/** A phone that stays. It answers our first session refresh with 491, as if one of its own crossed it. */
async function stayOn(gateway: TestGateway, token: string): Promise<SippCall> {
  const then: Steps = (scenario, port) =>
    scenario
      .expect(200)
      .ack()
      .answer('INVITE', '491 Request Pending')
      .receive('ACK')
      .answer('INVITE', '200 OK', {
        body: phoneOffer(port),
        headers: [`Session-Expires: ${INTERVAL_S};refresher=uac`, 'Require: timer'],
      })
      .receive('ACK')
      .waitForBye();
  const headers = ['Supported: timer', `Session-Expires: ${INTERVAL_S};refresher=uas`];
  return placeCall({ sipPort: gateway.sipPort, token, invite: { headers }, then, limitS: SECONDS + 120 });
}

async function hasBeenRefreshed(call: SippCall): Promise<void> {
  const refreshed = (): boolean =>
    call.messages.filter(({ direction, method }) => direction === 'received' && method === 'ACK').length >= 2;
  await until('the refresh of a session after a 491', refreshed, { withinMs: INTERVAL_S * 1000 });
}

/** @throws if the run is not over long after its end */
async function hanging(ends: number): Promise<never> {
  await sleep(ends - performance.now() + LATE_MS, undefined, { ref: false });
  throw new Error(`The run hangs: it is not over ${LATE_MS / 1000} s after its time.`);
}

function report(what: string, { residentMiB, files, sockets }: ProcessState): void {
  console.log(
    `${what.padEnd(14)}${residentMiB.toFixed(0).padStart(5)} MiB, ${files} files, ${sockets} sockets`,
  );
}

function lossOf({ packetsLost, elapsedMs }: Disturbance): number {
  return (packetsLost * 20) / elapsedMs;
}

function tell(who: string, { packetsLost, longestGapMs, longestBusyMs }: Disturbance): void {
  const [gap, busy] = [longestGapMs.toFixed(0), longestBusyMs.toFixed(0)];
  console.log(
    `${who}: ${packetsLost} packets lost, longest gap ${gap} ms, event loop late by at most ${busy} ms`,
  );
}

/** @returns what went wrong, for people */
function judge(
  outcome: LoadOutcome,
  answered: number,
  before: ProcessState,
  after: ProcessState,
  log: StateLog,
  hostile: HostileOutcome,
  { loss, refused, quiet }: { loss: number; refused: number; quiet: boolean },
) {
  // On a busy machine the gateway may refuse calls for overload, as documented.
  const failed = quiet ? outcome.failed : Math.max(0, outcome.failed - refused);
  return [
    hostile.wrong,
    loss <= (quiet ? LOSS_LIMIT : LOSS_LIMIT_BUSY)
      ? []
      : [`two phones lost ${(loss * 100).toFixed(1)} % more than at an idle gateway`],
    failed === 0 ? [] : [`${failed} calls failed`],
    answered >= outcome.successful ? [] : [`the gateway counts ${answered} calls that ended well`],
    log.memoryGrowth <= MEMORY_LIMIT ? [] : [`memory grew to ${log.memoryGrowth.toFixed(2)} times`],
    after.files <= before.files + FILES_LIMIT ? [] : [`${after.files - before.files} files more than before`],
    after.sockets <= before.sockets + FILES_LIMIT
      ? []
      : [`${after.sockets - before.sockets} sockets more than before`],
  ].flat();
}

const HOSTILE_ACCOUNT = { id: '6666666', user: 'hostile', password: 'hostile' };
const GLUTTON_ACCOUNT = { id: '7777777', user: 'glutton', password: 'glutton' };

const env = {
  PATCHBAY_LOG_LEVEL: 'info',
  // Small, so that the account that fills it has done so before memory is measured.
  PATCHBAY_ACCOUNT_MEMORY_MB: '8',
  PATCHBAY_WEBHOOK_ALLOW: '127.0.0.1',
  PATCHBAY_ACCOUNTS: [DEVELOPMENT_ACCOUNT, OTHER_ACCOUNT, HOSTILE_ACCOUNT, GLUTTON_ACCOUNT]
    .map(({ id, user, password }) => `${id}:${user}:${password}`)
    .join(','),
};
const gateway = await startGateway({ env: { ...env, PATCHBAY_RTP_PORTS: RTP_PORTS.join('-') } });
/** For comparison: how this machine affects an idle gateway. */
const idle = await startGateway({ env: { ...env, PATCHBAY_RTP_PORTS: IDLE_RTP_PORTS } });
const webhooks = await WebhookReceiver.start();
try {
  const rest = new Rest(gateway);
  const { session, tokens } = await gather(rest, webhooks.url);
  const stayer = await rest.member(session);
  const log = new StateLog(gateway.pid);
  const before = log.sample();
  report('before', before);

  const ends = performance.now() + SECONDS * 1000;
  const sampler = setInterval(() => log.sample(), SAMPLE_EVERY_MS);
  const stays = SECONDS > INTERVAL_S ? await stayOn(gateway, stayer.token) : undefined;
  const load = { sipPort: gateway.sipPort, tokens, calls: RATE * SECONDS, rate: RATE, holdMs: HOLD_MS };
  const bystander = await Bystander.start(gateway, SECONDS + 120);
  const controlBystander = await Bystander.start(idle, SECONDS + 120);
  const everything = Promise.all([
    placeManyCalls({ ...load, echo: true }),
    browse(gateway, rest, session, ends),
    runHostileCrowd(
      {
        gateway,
        rest: new Rest(gateway, HOSTILE_ACCOUNT),
        gluttonRest: new Rest(gateway, GLUTTON_ACCOUNT),
        rtpPorts: RTP_PORTS,
        talkersPorts: bystander.rtpPorts,
      },
      ends,
    ),
    runIllBehavedCrowd({ gateway, rest }, ends, SECONDS + 240),
    stays && hasBeenRefreshed(stays),
  ]);
  const work = Promise.race([everything, hanging(ends)]);
  const [disturbance, control] = await Promise.all([
    bystander.during(() => work),
    controlBystander.during(() => work),
  ]);
  const [outcome, visits, hostile, illBehaved] = await work;
  await bystander.stillHears();
  await Promise.all([bystander.hangUp(), controlBystander.hangUp()]);
  clearInterval(sampler);
  report('under load', log.sample());
  await rest.deleteParticipant(stayer.id);
  await stays?.hungUp();
  await stays?.end();

  const nothingLeft = async (): Promise<boolean> =>
    Object.keys(leftOvers(await readMetrics(gateway))).length === 0;
  const seen = async (): Promise<object> => leftOvers(await readMetrics(gateway));
  await until('empty tables', nothingLeft, { withinMs: FORGOTTEN_MS, everyMs: 1000, seen });
  // HTTP connections and the reader of usage records end after a while without use.
  const fewFiles = (): boolean => processState(gateway.pid).files <= before.files + FILES_LIMIT;
  await until('few files', fewFiles, { withinMs: FORGOTTEN_MS, everyMs: 1000 }).catch(() => undefined);
  const after = log.sample();
  report('after', after);

  const answered = sumOf(await readMetrics(gateway), 'patchbay_calls_total{outcome="success"');
  console.log(
    `${outcome.successful} calls, ${visits} visits of a browser, ${webhooks.received.length} webhooks`,
  );
  console.log(`hostile: ${[...hostile.turns].map(([name, turns]) => `${name} ${turns}`).join(', ')}`);
  console.log(`ill-behaved: ${[...illBehaved.turns].map(([name, turns]) => `${name} ${turns}`).join(', ')}`);
  tell('two phones', disturbance);
  tell('two at an idle gateway', control);
  console.log(`memory, last quarter to second: ${log.memoryGrowth.toFixed(2)}`);
  for (const [metric, count] of await readMetrics(gateway)) {
    if (/^patchbay_(calls|admission_refusals|mix_frames_skipped)_total/.test(metric) && count > 0)
      console.log(`${metric} ${count}`);
  }
  const quiet = control.longestGapMs < QUIET_MS;
  if (!quiet) console.log('This machine is busy: lost packets and calls refused for overload prove little.');
  const judged = judge(outcome, answered, before, after, log, hostile, {
    loss: lossOf(disturbance) - lossOf(control),
    refused: sumOf(await readMetrics(gateway), 'patchbay_admission_refusals_total{kind="phone"'),
    quiet,
  });
  const wrong = [...judged, ...illBehaved.wrong];
  for (const what of wrong) console.error(`WRONG: ${what}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  webhooks.close();
  await Promise.all([gateway.stop(), idle.stop()]);
}
