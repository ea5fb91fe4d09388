import { afterAll } from 'vitest';
import { forgetGateways, processesLeft } from './gateway.js';
import { postgresLeft } from './postgres.js';

/** In a setup file, so that it runs after the hooks of the test file. A gateway that was stopped has ended its hosts. */
afterAll(async () => {
  const left = processesLeft();
  forgetGateways();
  // They must not disturb the files that follow.
  for (const pid of left) process.kill(pid, 'SIGKILL');
  const servers = postgresLeft();
  await Promise.all(servers.map((server) => server.stop()));
  if (servers.length > 0) throw new Error('The file has left a PostgreSQL.');
  if (left.length > 0) throw new Error(`The file has left gateways or media hosts: ${left.join(', ')}.`);
});
