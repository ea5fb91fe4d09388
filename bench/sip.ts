/**
 * Calls set up each second and the time from INVITE to 200, with SIPp as the caller: of SIPp's own answering side,
 * which does nothing else, and of the SIP server with a small drachtio-srf application, each held to one core.
 *
 * BENCH_CALLS (20000) calls at BENCH_RATE (200) each second over BENCH_TRANSPORT (udp).
 */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeUdpPort } from '../test/support/ports.js';

const CALLS = Number(process.env['BENCH_CALLS'] ?? 20_000);
const RATE = Number(process.env['BENCH_RATE'] ?? 200);
const TRANSPORT = process.env['BENCH_TRANSPORT'] === 'tcp' ? 't1' : 'u1';
const HOLD_MS = 500;

interface Answerer {
  readonly name: string;
  readonly process: ChildProcess;
  readonly port: number;
}

interface Outcome {
  readonly failed: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Keeps a process on the first core, and SIPp's calling side off it where there is another. */
function onCore(core: number, command: string, args: readonly string[]): [string, string[]] {
  return ['taskset', ['-c', String(Math.min(core, availableParallelism() - 1)), command, ...args]];
}

async function startSipp(): Promise<Answerer> {
  const port = await freeUdpPort();
  const args = ['-sn', 'uas', '-i', '127.0.0.1', '-p', String(port), '-t', TRANSPORT, '-nostdin'];
  const child = spawn(...onCore(0, 'sipp', args), { stdio: 'ignore', cwd: tmpdir() });
  await once(child, 'spawn');
  return { name: 'SIPp answering', process: child, port };
}

async function startServer(): Promise<Answerer> {
  const [execPath, execArgv] = onCore(0, process.execPath, process.execArgv);
  const child = fork(new URL('sip-app.ts', import.meta.url), { execPath, execArgv });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { name: 'SIP server', process: child, port };
}

async function call(answerer: Answerer, calls: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-sip-'));
  const limits = ['-m', String(calls), '-r', String(RATE), '-d', String(HOLD_MS), '-l', String(RATE * 20)];
  const traces = ['-trace_rtt', '-rtt_freq', '1000', '-trace_stat', '-fd', '1'];
  const target = ['-sn', 'uac', `127.0.0.1:${answerer.port}`, '-i', '127.0.0.1', '-t', TRANSPORT, '-nostdin'];
  const [command, args] = onCore(1, 'sipp', [...target, ...limits, ...traces]);
  const started = performance.now();
  const child = spawn(command, args, { cwd: folder, stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  const seconds = (performance.now() - started) / 1000;
  const times = responseTimes(folder);
  rmSync(folder, { recursive: true });
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  const failed = calls - times.length;
  if (code !== 0 && failed === 0) console.error(`SIPp ended with ${String(code)}`);
  return { failed, perSecond: times.length / seconds, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Processor time that our own process has used; 0 for SIPp's. */
async function processorTimeUs({ process: child }: Answerer): Promise<number> {
  if (!child.connected) return 0;
  child.send('processor time');
  const [{ user, system }] = (await once(child, 'message')) as [NodeJS.CpuUsage];
  return user + system;
}

/** SIPp writes `date;milliseconds;name` for each answered call. */
function responseTimes(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('_rtt.csv'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n').slice(1))
    .map((line) => Number(line.split(';')[1]))
    .sort((a, b) => a - b);
}

function report(name: string, { failed, perSecond, p50, p99, max }: Outcome): void {
  const times = `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, max ${max.toFixed(2)} ms`;
  console.log(`${name}: ${perSecond.toFixed(0)} calls/s, ${times}, ${failed} failed`);
}

async function measure(start: () => Promise<Answerer>, calls: number): Promise<Outcome> {
  const answerer = await start();
  try {
    await call(answerer, Math.min(calls, RATE * 2));
    const before = await processorTimeUs(answerer);
    const outcome = await call(answerer, calls);
    report(answerer.name, outcome);
    const used = (await processorTimeUs(answerer)) - before;
    if (used > 0) console.log(`  ${(used / calls).toFixed(0)} µs of one core for each call`);
    return outcome;
  } finally {
    answerer.process.kill('SIGKILL');
  }
}

const bare = await measure(startSipp, Math.min(CALLS, RATE * 10));
const server = await measure(startServer, CALLS);
// SIPp's clock ticks in milliseconds and more: a bare answer may take none of them.
console.log(`ratio of p99, server to bare: ${(server.p99 / Math.max(bare.p99, 1)).toFixed(1)}`);
process.exitCode = server.failed > 0 ? 1 : 0;
