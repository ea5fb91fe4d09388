// Runs a program of a script's and ends with it: a script that a signal ends takes the program along.
import { spawn } from 'node:child_process';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'];

/** @throws Error when it does not exit with 0 */
export async function run(command, args) {
  let child;
  let signalled;
  const onSignal = (signal) => {
    signalled ??= signal;
    child.kill(signal);
  };
  // Handled from before the program starts: a signal in between would end the script alone.
  for (const signal of SIGNALS) process.on(signal, onSignal);
  child = spawn(command, args, { stdio: 'inherit' });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  for (const signal of SIGNALS) process.off(signal, onSignal);
  if (signalled !== undefined) {
    // As the signal would have ended it without this detour; nothing of the script runs any more.
    process.kill(process.pid, signalled);
    await new Promise(() => setInterval(() => undefined, 1_000));
  }
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} failed (${code})`);
}
