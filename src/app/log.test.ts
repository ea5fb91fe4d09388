import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';

const LOG = new URL('log.ts', import.meta.url).href;

let child: ChildProcessWithoutNullStreams;
afterEach(() => child.kill('SIGKILL'));

/** A process with a `log` that runs a program, reports that on stderr, and lives until its stdin ends. */
async function run(program: string): Promise<ChildProcessWithoutNullStreams> {
  const code = `const { createLog } = await import('${LOG}'); const log = createLog('info');
    ${program}; process.stderr.write('done'); process.stdin.resume();`;
  child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', code]);
  await once(child.stderr, 'data');
  return child;
}

function linesOf(output: string): Record<string, unknown>[] {
  const lines = output.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the log of a process', () => {
  it('is written soon, without waiting for more lines', async () => {
    const { stdout } = await run(`log.info({ one: 1 }, 'alone')`);
    const [lines] = (await once(stdout, 'data')) as [Buffer];
    expect(linesOf(lines.toString())).toMatchObject([{ one: 1, msg: 'alone' }]);
  });

  it('has no token in it, in any encoding', async () => {
    const token = 'eyJhbGciOiJIUzI1NiJ9.eyJhIjoiOTkw.c2lnbmF0dXJl';
    const { stdout } = await run(
      `log.info({ uri: 'sip:${token.replaceAll('.', '%2e')}@h', "a": '"${token}"\\r\\n' }, 'x')`,
    );
    const [lines] = (await once(stdout, 'data')) as [Buffer];
    expect(linesOf(lines.toString())).toMatchObject([{ uri: 'sip:***@h', msg: 'x' }]);
    expect(lines.toString()).not.toContain('c2lnbmF0dXJl');
  });

  it('is complete when the process ends', async () => {
    const { stdout, stdin } = await run(`process.stdin.once('end', () => {
      for (let n = 0; n < 100; n++) log.info({ n }, 'line');
      process.exit(); })`);
    const output = text(stdout);
    stdin.end();
    expect(linesOf(await output).map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  it('has the error that ended a process at its start', async () => {
    const { stdout } = await run(`log.fatal('could not start'); process.exitCode = 1; process.stdin.unref()`);
    expect(linesOf(await text(stdout))).toMatchObject([{ level: 60, msg: 'could not start' }]);
  });

  it('has the number of dropped lines once it is read again', async () => {
    const { stdout, stdin } = await run(
      `for (let n = 0; n < 30_000; n++) log.info({ filler: 'x'.repeat(1_000) }, 'line')`,
    );
    const pieces: string[] = [];
    for await (const piece of stdout.setEncoding('utf8')) {
      pieces.push(piece as string);
      if (pieces.slice(-2).join('').includes('were dropped')) stdin.end();
    }
    const lines = linesOf(pieces.join(''));
    const dropped = lines.map((line) => Number(line['dropped'] ?? 0)).reduce((sum, count) => sum + count, 0);
    expect(dropped).toBeGreaterThan(1_000);
    expect(lines.filter(({ msg }) => msg === 'line').length + dropped).toBe(30_000);
  }, 60_000);
});
