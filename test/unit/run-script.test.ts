import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

/** Ends by itself in a second, and says so: what nobody stopped. */
const PROGRAM = `setTimeout(() => console.log('went on'), 1_000)`;

/** Runs {@link PROGRAM}, and is signalled as soon as that exists. */
const SCRIPT = `
  import childProcess from 'node:child_process';
  import { syncBuiltinESMExports } from 'node:module';
  const { spawn } = childProcess;
  childProcess.spawn = (...args) => {
    const child = spawn(...args);
    process.kill(process.pid, 'SIGTERM');
    return child;
  };
  syncBuiltinESMExports();
  const { run } = await import('./scripts/run.mjs');
  await run(process.execPath, ['-e', ${JSON.stringify(PROGRAM)}]);
`;

it('a script that is signalled while its program starts takes the program along', () => {
  const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect([signal, stdout]).toEqual(['SIGTERM', '']);
});
