import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { phoneOffer, Scenario } from '../../test/support/sipp.js';
import { onCore } from './cores.js';

const HOLD_MS = 500;

/** Results of SIPp's calls; times from INVITE to 200 in milliseconds. */
export interface Outcome {
  readonly failed: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** One call of a plain phone with one of the tokens. SIPp measures the time from INVITE to 200. */
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

/** Has SIPp, on its own core, make `calls` calls at `rate` per second to a port of this machine. */
export async function callAll(
  port: number,
  tokens: readonly string[],
  load: { calls: number; rate: number; transport: 'u1' | 't1' },
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-sip-'));
  writeFileSync(join(folder, 'call.xml'), scenario());
  writeFileSync(join(folder, 'tokens.csv'), ['SEQUENTIAL', ...tokens.map((token) => `${token};`)].join('\n'));
  const pace = ['-m', String(load.calls), '-r', String(load.rate), '-l', String(load.rate * 20)];
  const files = ['-sf', 'call.xml', '-inf', 'tokens.csv', '-trace_rtt', '-rtt_freq', '1', '-trace_stat'];
  const target = [`127.0.0.1:${port}`, '-i', '127.0.0.1', '-t', load.transport, '-nostdin'];
  const [command, args] = onCore(1, 'sipp', [...files, ...pace, ...target, '-timeout', '300s']);
  const started = performance.now();
  const child = spawn(command, args, { cwd: folder, stdio: 'ignore' });
  await once(child, 'exit');
  const seconds = (performance.now() - started) / 1000;
  const times = answerTimes(folder);
  const succeeded = Number(statistic(folder, 'SuccessfulCall(C)'));
  rmSync(folder, { recursive: true });
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  return {
    failed: load.calls - succeeded,
    perSecond: succeeded / seconds,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
  };
}

function linesOf(folder: string, suffix: string): string[] {
  const file = readdirSync(folder).find((name) => name.endsWith(suffix));
  return file === undefined ? [] : readFileSync(join(folder, file), 'utf8').trim().split('\n');
}

/** SIPp writes `date;milliseconds;name` for each answered call. */
function answerTimes(folder: string): number[] {
  return linesOf(folder, '_rtt.csv')
    .slice(1)
    .map((line) => Number(line.split(';')[1]))
    .sort((a, b) => a - b);
}

/** A column of the last line of SIPp's statistics. */
function statistic(folder: string, column: string): string | undefined {
  const lines = linesOf(folder, '_.csv').map((line) => line.split(';'));
  return lines.at(-1)?.[lines[0]?.indexOf(column) ?? -1];
}
