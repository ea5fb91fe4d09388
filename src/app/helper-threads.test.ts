import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

const SCRIPT = `
  import { readdirSync } from 'node:fs';
  import { getPriority } from 'node:os';
  import { yieldToCalls } from './src/app/helper-threads.ts';
  const lowered = yieldToCalls({ warn: console.error });
  const low = readdirSync('/proc/self/task').map(Number).filter((id) => getPriority(id) === 19);
  console.log(JSON.stringify({ lowered, low, main: getPriority(process.pid) }));
`;

function run(flags: readonly string[]): { lowered: number[]; low: number[]; main: number } {
  const args = [...flags, '--import', 'tsx', '--input-type=module', '-e', SCRIPT];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as ReturnType<typeof run>;
}

it.runIf(process.platform === 'linux')('lowers the five helpers of V8 and no other thread', () => {
  const { lowered, low, main } = run([]);
  expect(lowered).toHaveLength(5);
  expect(low).toEqual(lowered);
  expect(main).toBeLessThan(19);
});

it('leaves a chosen number of helpers alone', () => {
  expect(run(['--v8-pool-size=2']).lowered).toEqual([]);
});
