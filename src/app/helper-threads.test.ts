import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const SCRIPT = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { getPriority } from 'node:os';
  import { yieldToCalls } from './src/app/process.ts';
  const lowered = yieldToCalls({ warn: console.error });
  const low = readdirSync('/proc/self/task').map(Number).filter((id) => getPriority(id) === 19);
  const names = lowered.map((id) => readFileSync(\`/proc/self/task/\${id}/comm\`, 'utf8').trim());
  console.log(JSON.stringify({ lowered, low, names, main: getPriority(process.pid) }));
`;

interface Lowered {
  readonly lowered: number[];
  readonly low: number[];
  readonly names: string[];
  readonly main: number;
}

function run(flags: readonly string[]): Lowered {
  const args = [...flags, '--import', 'tsx', '--input-type=module', '-e', SCRIPT];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as Lowered;
}

it.runIf(process.platform === 'linux')('lowers the five helpers of V8 and no other thread', () => {
  const { lowered, low, names, main } = run([]);
  expect(lowered).toHaveLength(5);
  expect(low).toEqual(lowered);
  expect(main).toBeLessThan(19);
  // Node 24 names its threads; under Node 20 all have the program's name.
  const helpers = ['DelayedTaskSche', 'V8Worker', 'V8Worker', 'V8Worker', 'V8Worker'];
  if (names.includes('V8Worker')) expect(names).toEqual(helpers);
});

it('leaves a chosen number of helpers alone', () => {
  expect(run(['--v8-pool-size=2']).lowered).toEqual([]);
});
