import { afterAll, beforeAll, expect, it } from 'vitest';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import { startGateway, type TestGateway } from '../support/gateway.js';

let gateway: TestGateway;
let bystander: Bystander;
beforeAll(async () => {
  gateway = await startGateway({ env: TWO_ACCOUNTS });
  bystander = await Bystander.start(gateway);
});
afterAll(async () => {
  await bystander.end();
  await gateway.stop();
});

it('sees a gateway that is stopped for a second', async () => {
  const disturbance = await bystander.during(async () => {
    process.kill(gateway.pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    process.kill(gateway.pid, 'SIGCONT');
    await bystander.stillHears();
  });
  expect(disturbance.longestGapMs).toBeGreaterThan(900);
  expect(disturbance.packetsLost).toBeGreaterThan(20);
  expect(disturbance.longestBusyMs).toBeGreaterThan(900);
});
