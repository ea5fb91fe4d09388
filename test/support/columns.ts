import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * The ways to run a gateway for phones: on which SIP server, with media by which way. The test files of phones are
 * the same for all; the servers of the last three are the environment's, as `host:port:secret`:
 * `PATCHBAY_TEST_DRACHTIO` and `PATCHBAY_TEST_FREESWITCH` (several: comma-separated).
 */
interface Column {
  readonly name: string;
  /** What gateways of this column are started with besides. */
  readonly env: Record<string, string>;
  /** Variables that are not set, so that this column cannot run. */
  readonly missing: readonly string[];
}

const DRACHTIO = { from: 'PATCHBAY_TEST_DRACHTIO', to: 'PATCHBAY_DRACHTIO' };
const FREESWITCH = { from: 'PATCHBAY_TEST_FREESWITCH', to: 'PATCHBAY_FREESWITCH' };

function column(name: string, ...servers: readonly { from: string; to: string }[]): Column {
  const env = Object.fromEntries(servers.map(({ from, to }) => [to, process.env[from] ?? '']));
  return { name, env, missing: servers.map(({ from }) => from).filter((from) => !process.env[from]) };
}

/** The columns beside the one of `system`, which is the embedded SIP server with direct RTP. */
export const COLUMNS: readonly Column[] = [
  column('drachtio + direct', DRACHTIO),
  column('embedded + freeswitch', FREESWITCH),
  column('drachtio + freeswitch', DRACHTIO, FREESWITCH),
];

const FOLDER = 'test/system';

/** A test that compares a phone beside an attack with one at an idle gateway must have the machine to itself. */
const MEASURES = 'support/bystander.js';

function systemFiles(): { path: string; text: string }[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => ({ path: join(FOLDER, file), text: readFileSync(join(FOLDER, file), 'utf8') }));
}

/** The whole-system tests that may run beside others, or those that must run alone. */
export function systemTests(which: 'together' | 'alone'): string[] {
  return systemFiles()
    .filter(({ text }) => text.includes(MEASURES) === (which === 'alone'))
    .map(({ path }) => path);
}

/** Support modules by which tests place calls. */
const CALLING = ['support/sipp.js', 'support/phone-room.js'];

/**
 * The whole-system tests that place calls, but for those that bring their own servers, and those of what only the
 * embedded SIP server and direct RTP do.
 */
export function phoneTests(): string[] {
  return systemFiles()
    .filter(({ path }) => !basename(path).startsWith('embedded-'))
    .filter(({ text }) => CALLING.some((name) => text.includes(name)) && !text.includes('support/servers.js'))
    .map(({ path }) => path);
}
