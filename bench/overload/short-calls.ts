/** Calls of one second by SIPp, at a given rate: how many succeed, and how long the others wait for their 503. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { phoneOffer, Scenario } from '../../test/support/sipp.js';
import { onCore } from '../sip/cores.js';

const HOLD_MS = 1000;

export interface ShortCalls {
  readonly offered: number;
  /** Answered, held and hung up. */
  readonly succeeded: number;
  /** Refused with 503. */
  readonly refused: number;
  /** Neither: no answer came. */
  readonly failed: number;
  /** From INVITE to 503, in ms. */
  readonly refusal: { readonly p50: number; readonly p99: number; readonly max: number };
  /** From INVITE to 200, in ms. */
  readonly answer: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** A phone that accepts a 503 and does not call again, as behind a carrier. */
function scenario(): string {
  const xml = new Scenario()
    .invite({ headers: ['User-to-User: [field0];encoding=jwt'], sdp: phoneOffer(9) })
    .expect(200)
    .ack()
    .pause(HOLD_MS)
    .bye()
    .toXml()
    .replace('<send retrans="500">', '<nop start_rtd="2"/><send retrans="500" start_rtd="1">')
    .replace(
      '<recv response="200" rrs',
      '<recv response="503" optional="true" rtd="2" next="refused"/><recv response="200" rtd="1" rrs',
    );
  const ack = new Scenario().ackRefusal().toXml();
  const send = /<send[\s\S]*?<\/send>/.exec(ack)![0];
  return xml.replace(
    '</scenario>',
    `<nop next="over"/><label id="refused"/>${send}<label id="over"/></scenario>`,
  );
}

/** Makes `rate` calls a second for `seconds`; `over` is called when the last has begun. */
export async function shortCalls(
  port: number,
  tokens: readonly string[],
  { rate, seconds }: { rate: number; seconds: number },
  over: () => unknown = () => undefined,
): Promise<ShortCalls> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-overload-'));
  writeFileSync(join(folder, 'call.xml'), scenario());
  writeFileSync(join(folder, 'tokens.csv'), ['SEQUENTIAL', ...tokens.map((token) => `${token};`)].join('\n'));
  const offered = rate * seconds;
  const [command, args] = onCore(1, 'sipp', [
    ...['-sf', 'call.xml', '-inf', 'tokens.csv', '-trace_rtt', '-rtt_freq', '1', '-trace_stat'],
    ...['-m', String(offered), '-r', String(rate), '-l', String(offered), '-nostdin'],
    ...['-buff_size', String(4 << 20), '-recv_timeout', '10000', '-timeout', `${seconds + 60}s`],
    ...[`127.0.0.1:${port}`, '-i', '127.0.0.1', '-t', 'u1'],
  ]);
  const child: ChildProcess = spawn(command, args, {
    cwd: folder,
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  const timer = setTimeout(over, seconds * 1000);
  await ended;
  clearTimeout(timer);
  const times = { answered: timesOf(folder, '1'), refused: timesOf(folder, '2') };
  const successful = Number(statistic(folder, 'SuccessfulCall(C)'));
  rmSync(folder, { recursive: true });
  const refused = times.refused.length;
  return {
    offered,
    succeeded: successful - refused,
    refused,
    failed: offered - successful,
    refusal: percentiles(times.refused),
    answer: percentiles(times.answered),
  };
}

function percentiles(times: number[]): { p50: number; p99: number; max: number } {
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function linesOf(folder: string, suffix: string): string[] {
  const file = readdirSync(folder).find((name) => name.endsWith(suffix));
  return file === undefined ? [] : readFileSync(join(folder, file), 'utf8').trim().split('\n');
}

/** SIPp writes `date;milliseconds;name` for each measured time. */
function timesOf(folder: string, name: string): number[] {
  return linesOf(folder, '_rtt.csv')
    .slice(1)
    .map((line) => line.split(';'))
    .filter((fields) => fields[2] === name)
    .map((fields) => Number(fields[1]));
}

/** A column of the last line of SIPp's statistics. */
function statistic(folder: string, column: string): string | undefined {
  const lines = linesOf(folder, '_.csv').map((line) => line.split(';'));
  return lines.at(-1)?.[lines[0]?.indexOf(column) ?? -1];
}
