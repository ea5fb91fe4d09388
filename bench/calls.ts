/**
 * Whole calls at the whole gateway, on one core: token verified, media negotiated, participant joined, 200, BYE.
 * Calls set up each second and the time from INVITE to 200, beside SIPp's own answering side, which negotiates
 * nothing, in the same run.
 *
 * BENCH_CALLS (4000) calls at BENCH_RATE (200) each second, each held for half a second.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway } from '../test/support/gateway.js';
import { freeUdpPort } from '../test/support/ports.js';
import { Rest } from '../test/support/rest.js';
import { phoneOffer, Scenario } from '../test/support/sipp.js';

const CALLS = Number(process.env['BENCH_CALLS'] ?? 4000);
const RATE = Number(process.env['BENCH_RATE'] ?? 200);
const HOLD_MS = 500;
/** A participant is in one call at a time: enough of them that nobody is called while still busy. */
const PARTICIPANTS = RATE * 5;

interface Outcome {
  readonly failed: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** One call of a plain phone; the time from INVITE to 200 is measured. */
function scenario(): string {
  return new Scenario()
    .invite({ headers: ['User-to-User: [field0];encoding=jwt'], sdp: phoneOffer(9) })
    .expect(200)
    .ack()
    .pause(HOLD_MS)
    .bye()
    .toXml()
    .replace('<send retrans="500">', '<send retrans="500" start_rtd="1">')
    .replace('<recv response="200"', '<recv response="200" rtd="1"');
}

async function callAll(sipPort: number, tokens: readonly string[]): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-bench-'));
  writeFileSync(join(folder, 'call.xml'), scenario());
  writeFileSync(join(folder, 'tokens.csv'), ['SEQUENTIAL', ...tokens.map((token) => `${token};`)].join('\n'));
  const load = ['-m', String(CALLS), '-r', String(RATE), '-l', String(RATE * 20)];
  const files = ['-sf', 'call.xml', '-inf', 'tokens.csv', '-trace_rtt', '-rtt_freq', '1000'];
  const target = [`127.0.0.1:${sipPort}`, '-i', '127.0.0.1', '-t', 'u1', '-nostdin', '-timeout', '300s'];
  const started = performance.now();
  const child = spawn('sipp', [...files, ...load, ...target], { cwd: folder, stdio: 'ignore' });
  await once(child, 'exit');
  const seconds = (performance.now() - started) / 1000;
  const times = answerTimes(folder);
  rmSync(folder, { recursive: true });
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  return {
    failed: CALLS - times.length,
    perSecond: times.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
  };
}

/** Milliseconds from INVITE to 200 of each answered call, sorted; SIPp writes `date;milliseconds;name`. */
function answerTimes(folder: string): number[] {
  const file = readdirSync(folder).find((name) => name.endsWith('_rtt.csv'));
  if (file === undefined) return [];
  const lines = readFileSync(join(folder, file), 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => Number(line.split(';')[1])).sort((a, b) => a - b);
}

function onFirstCore(pid: number): void {
  spawnSync('taskset', ['-a', '-c', '-p', '0', String(pid)]);
}

async function measureSipp(tokens: readonly string[]): Promise<Outcome> {
  const port = await freeUdpPort();
  const args = ['-sn', 'uas', '-i', '127.0.0.1', '-p', String(port), '-nostdin'];
  const answering: ChildProcess = spawn('sipp', args, { stdio: 'ignore', cwd: tmpdir() });
  await once(answering, 'spawn');
  onFirstCore(answering.pid!);
  try {
    return await callAll(port, tokens);
  } finally {
    answering.kill('SIGKILL');
  }
}

async function measureGateway(): Promise<{ tokens: string[]; outcome: Outcome }> {
  const gateway = await startGateway({ env: { PATCHBAY_LOG_LEVEL: 'info', PATCHBAY_API_RATE: '0' } });
  try {
    onFirstCore(gateway.pid);
    const rest = new Rest(gateway);
    const tokens: string[] = [];
    while (tokens.length < PARTICIPANTS) tokens.push((await rest.participant()).token);
    return { tokens, outcome: await callAll(gateway.sipPort, tokens) };
  } finally {
    await gateway.stop();
  }
}

function print(name: string, { failed, perSecond, p50, p99, max }: Outcome): void {
  const times = [p50, p99, max].map((ms) => ms.toFixed(1).padStart(8)).join('');
  console.log(`${name.padEnd(16)}${perSecond.toFixed(0).padStart(8)}${times}${String(failed).padStart(8)}`);
}

const { tokens, outcome } = await measureGateway();
const sipp = await measureSipp(tokens);
console.log(`${CALLS} calls at ${RATE}/s`);
console.log(`${''.padEnd(16)} calls/s  p50 ms  p99 ms  max ms  failed`);
print('gateway', outcome);
print('SIPp answering', sipp);
console.log(`INVITE to 200, p99, gateway to SIPp: ${(outcome.p99 / sipp.p99).toFixed(1)}`);
