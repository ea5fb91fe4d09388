/**
 * More work than the gateway can do, the gateway held to one core and its callers to another.
 *
 * Calls of one second by SIPp at BENCH_EDGE a second (0: find that rate first), at twice and four times that, for
 * BENCH_SECONDS (15) each, beside BENCH_UP (10) established calls: how many succeed, how soon the others get their 503,
 * how many packets the established calls lose, and how soon a call is answered after the load. Then BENCH_TALKERS (1000)
 * phones that call one after the other, 50 per second, talk in pairs and stay: how many are admitted, and how much they
 * hear.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startGateway, type TestGateway } from '../test/support/gateway.js';
import { type Metrics, readMetrics } from '../test/support/metrics.js';
import { Rest } from '../test/support/rest.js';
import { Phones } from './overload/phones.js';
import { shortCalls, type ShortCalls } from './overload/short-calls.js';
import { moveTo } from './sip/cores.js';

const EDGE = Number(process.env['BENCH_EDGE'] ?? 0);
const TIMES = (process.env['BENCH_TIMES'] ?? '1,2,4').split(',').map(Number);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 15);
const UP = Number(process.env['BENCH_UP'] ?? 10);
const TALKERS = Number(process.env['BENCH_TALKERS'] ?? 1000);
const TALKERS_A_SECOND = Number(process.env['BENCH_TALKERS_RATE'] ?? 50);
const AFTER_MS = 300;
const LISTEN_MS = 10_000;
/** A rate is within the edge if this share of its calls succeeds. */
const WITHIN = 0.995;
const FIRST_RATE = 150;
const STEP = 1.15;

async function onOwnCore(): Promise<TestGateway> {
  moveTo(0);
  const env = { PATCHBAY_LOG_LEVEL: 'info', PATCHBAY_API_RATE: '0', PATCHBAY_SIP_RATE: '100000' };
  // Reading its log on SIPp's core would hold up SIPp.
  const gateway = await startGateway({ env, keepLog: process.env['BENCH_LOG'] === '1' });
  moveTo(1);
  return gateway;
}

async function tokensFor(rest: Rest, count: number): Promise<string[]> {
  const tokens: string[] = [];
  while (tokens.length < count) {
    const some = Array.from({ length: Math.min(50, count - tokens.length) }, () => rest.participant());
    tokens.push(...(await Promise.all(some)).map(({ token }) => token));
  }
  return tokens;
}

async function findEdge(gateway: TestGateway, tokens: readonly string[]): Promise<number> {
  let edge = 0;
  for (let rate = FIRST_RATE; ; rate = Math.round(rate * STEP)) {
    const { succeeded, offered } = await shortCalls(gateway.sipPort, tokens, { rate, seconds: 8 });
    console.log(`  ${rate} a second: ${((100 * succeeded) / offered).toFixed(1)} % succeed`);
    if (succeeded < offered * WITHIN) return edge;
    edge = rate;
  }
}

/** Calls of one account that stay up and talk in pairs. */
async function talkInPairs(gateway: TestGateway, count: number): Promise<string[]> {
  const rest = new Rest(gateway);
  const pair = async (): Promise<string[]> => {
    const session = await rest.session();
    return [(await rest.member(session)).token, (await rest.member(session)).token];
  };
  const pairs: string[][] = [];
  while (pairs.length < count / 2) pairs.push(await pair());
  return pairs.flat();
}

const lostPercent = (shares: readonly number[]): number =>
  100 * (1 - shares.reduce((sum, share) => sum + share, 0) / shares.length);

function report(rate: number, edge: number, calls: ShortCalls, lost: readonly number[], first: string): void {
  const { succeeded, refused, failed, refusal, answer } = calls;
  const perSecond = succeeded / SECONDS;
  const lines = [
    `${rate} a second: ${perSecond.toFixed(0)} a second succeed (${((100 * perSecond) / edge).toFixed(0)} % of the edge)`,
    `  ${refused} refused with 503 after ${refusal.p50.toFixed(0)}/${refusal.p99.toFixed(0)}/${refusal.max.toFixed(0)} ms (p50/p99/max), ${failed} failed`,
    `  200 after ${answer.p50.toFixed(0)}/${answer.p99.toFixed(0)}/${answer.max.toFixed(0)} ms`,
    `  calls that are up lose ${lostPercent(lost).toFixed(2)} %, the worst ${lostPercent([Math.min(...lost)]).toFixed(2)} %`,
    `  first call after the load: ${first}`,
  ];
  console.log(lines.join('\n'));
}

async function offerShortCalls(): Promise<void> {
  const gateway = await onOwnCore();
  const phones = await Phones.open(gateway.sipPort);
  try {
    const rest = new Rest(gateway);
    const tokens = await tokensFor(rest, 6000);
    await shortCalls(gateway.sipPort, tokens, { rate: 100, seconds: 5 });
    const edge = EDGE || (await findEdge(gateway, tokens));
    console.log(`calls of one second, ${edge} a second are the edge`);
    for (const token of await talkInPairs(gateway, UP)) await phones.call(token);
    for (const times of TIMES) {
      const rate = edge * times;
      const [spare] = await tokensFor(rest, 1);
      let first: Promise<string> | undefined;
      const lost = phones.hear(SECONDS * 1000);
      const calls = await shortCalls(gateway.sipPort, tokens, { rate, seconds: SECONDS }, () => {
        // Calls that waited at the end of the load are answered by then.
        first = sleep(AFTER_MS)
          .then(() => phones.call(spare!))
          .then(({ status, ms }) => `${status} after ${ms.toFixed(0)} ms`);
      });
      report(rate, edge, calls, await lost, (await first) ?? 'not tried');
      await sleep(5000);
    }
  } finally {
    phones.close();
    await gateway.stop();
  }
}

const value = (metrics: Metrics, name: string): number => metrics.get(name) ?? Number.NaN;

async function offerTalkers(): Promise<void> {
  const gateway = await onOwnCore();
  const phones = await Phones.open(gateway.sipPort);
  try {
    const tokens = await talkInPairs(gateway, TALKERS);
    const answers: ReturnType<Phones['call']>[] = [];
    for (const token of tokens) {
      answers.push(phones.call(token));
      await sleep(1000 / TALKERS_A_SECOND);
    }
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    const admitted = statuses.filter((status) => status === 200).length;
    const others = new Set(statuses.filter((status) => status !== 200));
    const before = await readMetrics(gateway);
    const shares = (await phones.hear(LISTEN_MS)).sort((a, b) => a - b);
    const after = await readMetrics(gateway);
    const grew = (name: string): number => value(after, name) - value(before, name);
    console.log(`${TALKERS} talkers: ${admitted} let in, the others ${[...others].join(', ') || 'none'}`);
    console.log(
      `  busy ${(value(after, 'patchbay_load_busy') * 100).toFixed(0)} %, processor ` +
        `${((grew('process_cpu_seconds_total') * 1e5) / LISTEN_MS).toFixed(0)} %, ` +
        `${grew('patchbay_mix_frames_skipped_total')} of ${LISTEN_MS / 20} frames skipped`,
    );
    console.log(
      `  they hear ${(100 - lostPercent(shares)).toFixed(2)} % of packets, the worst ${((shares[0] ?? 0) * 100).toFixed(2)} %`,
    );
  } finally {
    phones.close();
    await gateway.stop();
  }
}

if (TIMES.some((times) => times > 0)) await offerShortCalls();
if (TALKERS > 0) await offerTalkers();
process.exit();
