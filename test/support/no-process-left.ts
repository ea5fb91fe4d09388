import { afterAll } from 'vitest';
import { forgetGateways, processesLeft } from './gateway.js';

/** In a setup file, so that it runs after the hooks of the test file. A gateway that was stopped has ended its hosts. */
afterAll(() => {
  const left = processesLeft();
  forgetGateways();
  // They must not disturb the files that follow.
  for (const pid of left) process.kill(pid, 'SIGKILL');
  if (left.length > 0) throw new Error(`The file has left gateways or media hosts: ${left.join(', ')}.`);
});
