import { afterEach } from 'vitest';
import { startGateway, type TestGateway } from './gateway.js';
import { TestFreeswitch } from './servers.js';
import { audioAddressOf } from './sip-message.js';
import { phoneOffer, type SippCall, type Steps } from './sipp.js';

/** FreeSWITCHes of a test's own with gateways before them; everything ends after the test. */
interface FreeswitchPoolScene {
  freeswitch(index: number, env?: Record<string, string>): Promise<TestFreeswitch>;
  gatewayWith(
    servers: readonly TestFreeswitch[],
    options?: Parameters<typeof startGateway>[0],
  ): Promise<TestGateway>;
  /** The same call, which ends after the test. */
  ended(call: SippCall): SippCall;
  /** Adds a step to do after the test; the last added is done first. */
  afterwards(step: () => Promise<unknown>): void;
}

/** Call it where tests are declared. */
export function useFreeswitchPool(): FreeswitchPoolScene {
  const undo: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });
  return {
    async freeswitch(index, env = {}) {
      const server = await TestFreeswitch.start(index, env);
      undo.push(() => server.stop());
      return server;
    },
    async gatewayWith(servers, options = {}) {
      const PATCHBAY_FREESWITCH = servers.map(({ address }) => address).join(',');
      const env = { PATCHBAY_DRACHTIO: '', PATCHBAY_FREESWITCH, ...options.env };
      const gateway = await startGateway({ ...options, env });
      undo.push(() => gateway.stop());
      return gateway;
    },
    ended(call) {
      undo.push(() => call.end());
      return call;
    },
    afterwards: (step) => void undo.push(step),
  };
}

/** A phone that follows a re-INVITE. */
export const movable: Steps = (scenario, port) =>
  scenario
    .expect(200)
    .ack()
    .answer('INVITE', '200 OK', { body: phoneOffer(port, { version: 2 }) })
    .receive('ACK')
    .waitForCue()
    .bye();

/** The port that a call's first answer names. */
export async function rtpPortOf(call: SippCall): Promise<number> {
  return audioAddressOf((await call.final()).body).port;
}
