import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * The ways to run a gateway for phones: on which SIP server, and with media directly or through FreeSWITCH. The tests of
 * phones are the same for all. The servers of the last three come from the environment, as `host:port:secret`:
 * `PATCHBAY_TEST_DRACHTIO` and `PATCHBAY_TEST_FREESWITCH` (several: comma-separated).
 */
interface Column {
  readonly name: string;
  /** Further environment variables for gateways of this column. */
  readonly env: Record<string, string>;
  /** Variables that this column needs and that are not set. */
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
const COMPARES = 'bystander.during(';

function systemFiles(): { path: string; text: string }[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => ({ path: join(FOLDER, file), text: readFileSync(join(FOLDER, file), 'utf8') }));
}

/** The whole-system tests that may run beside others, or those that must run alone. */
export function systemTests(which: 'together' | 'alone'): string[] {
  return systemFiles()
    .filter(({ text }) => text.includes(COMPARES) === (which === 'alone'))
    .map(({ path }) => path);
}

/** Support modules by which tests place calls. */
const CALLING = ['support/sipp.js', 'support/phone-room.js', "'/testCalls'"];

/**
 * The whole-system tests that place calls, except for those that start their own servers, and those that only concern
 * the embedded SIP server and direct RTP.
 */
export function phoneTests(): string[] {
  return systemFiles()
    .filter(({ path }) => !basename(path).startsWith('embedded-'))
    .filter(({ text }) => CALLING.some((name) => text.includes(name)) && !text.includes('support/servers.js'))
    .map(({ path }) => path);
}
