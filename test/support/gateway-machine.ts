import { rmSync } from 'node:fs';
import { leftHosts, type TestGateway } from './gateway.js';
import { until } from './until.js';

const LIMIT = { withinMs: 30_000, everyMs: 20 };

/** All processes of a gateway's machine die at once. */
export async function killMachine(gateway: TestGateway): Promise<void> {
  const hosts = leftHosts(gateway.dataDir);
  const killed = gateway.kill();
  for (const pid of hosts) process.kill(pid, 'SIGKILL');
  await killed;
}

/** Stops a gateway, ends the media hosts that it leaves, and removes its data folder. */
export async function removeMachine(gateway: TestGateway): Promise<void> {
  await gateway.stop();
  for (const pid of leftHosts(gateway.dataDir)) process.kill(pid, 'SIGKILL');
  await until('no host', () => leftHosts(gateway.dataDir).length === 0, LIMIT);
  rmSync(gateway.dataDir, { recursive: true, force: true });
}
