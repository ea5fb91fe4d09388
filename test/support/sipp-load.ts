import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeUdpPort } from './ports.js';
import { Scenario } from './sipp-scenario.js';
import { phoneOffer } from './sipp.js';

interface LoadOptions {
  readonly sipPort: number;
  /** Used one after the other and again from the first, so that each is in one call at a time. */
  readonly tokens: readonly string[];
  readonly calls: number;
  /** Calls begun each second. */
  readonly rate: number;
  /** How long each call lasts. */
  readonly holdMs: number;
  /** Whether the phones echo what they hear; default: they send and receive no media. */
  readonly echo?: boolean;
}

/** How many calls went as they should. */
export interface LoadOutcome {
  readonly successful: number;
  readonly failed: number;
}

/**
 * Many calls of plain phones by one SIPp: INVITE, 200, ACK, BYE, 200.
 * @throws when SIPp does not end in twice the time that the calls should take
 */
export async function placeManyCalls(options: LoadOptions): Promise<LoadOutcome> {
  const { calls, rate, holdMs } = options;
  const rtpPort = await freeUdpPort();
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-load-'));
  writeFileSync(join(folder, 'call.xml'), scenario(holdMs, rtpPort));
  const tokens = options.tokens.map((token) => `${token};`);
  writeFileSync(join(folder, 'tokens.csv'), ['SEQUENTIAL', ...tokens].join('\n'));
  const limitS = Math.ceil(2 * (calls / rate + holdMs / 1000) + 20);
  const child = spawn(
    'sipp',
    [
      ...['-sf', 'call.xml', '-inf', 'tokens.csv', '-trace_stat', '-stf', 'stat.csv', '-nostdin'],
      ...(options.echo ? ['-rtp_echo', '-mp', String(rtpPort)] : []),
      ...['-m', String(calls), '-r', String(rate), '-l', String(options.tokens.length)],
      ...['-timeout', `${limitS}s`, '-timeout_error', '-i', '127.0.0.1', '-t', 'u1'],
      `127.0.0.1:${options.sipPort}`,
    ],
    { cwd: folder, stdio: 'ignore' },
  );
  await once(child, 'exit');
  const outcome = readOutcome(folder);
  rmSync(folder, { recursive: true });
  return outcome;
}

function scenario(holdMs: number, rtpPort: number): string {
  return new Scenario()
    .invite({ headers: ['User-to-User: [field0];encoding=jwt'], sdp: phoneOffer(rtpPort) })
    .expect(200)
    .ack()
    .pause(holdMs)
    .bye()
    .toXml();
}

/** SIPp's statistics: a line of names, and lines of values, of which the last counts the whole run. */
function readOutcome(folder: string): LoadOutcome {
  const file = readdirSync(folder).find((name) => name === 'stat.csv');
  if (file === undefined) throw new Error('SIPp wrote no statistics.');
  const [names = [], ...rows] = readFileSync(join(folder, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(';'));
  const last = rows.at(-1) ?? [];
  const count = (name: string): number => Number(last[names.indexOf(name)] ?? NaN);
  return { successful: count('SuccessfulCall(C)'), failed: count('FailedCall(C)') };
}
