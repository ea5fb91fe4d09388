import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';

const CALLER_TONE = 440;
const AGENT_TONE = 700;
const SUPERVISOR_TONE = 1100;

describe('a supervisor', () => {
  let gateway: TestGateway;
  let chromium: TestBrowser;

  beforeAll(async () => {
    [gateway, chromium] = await Promise.all([startGateway(), launchChromium()]);
  });

  afterAll(async () => {
    await chromium.close();
    await gateway.stop();
  });

  it.each([
    ['0.12', '0.9'],
    ['0.9', '0.12'],
  ] as const)(
    'listens, whispers and joins in, all in one call: client %s; agent on %s',
    async (own, agents) => {
      const rest = new Rest(gateway);
      const session = await rest.session();
      const [caller, agent, supervisor] = [
        await rest.member(session, { subscriptions: {} }),
        await rest.member(session, { subscriptions: {} }),
        await rest.member(session, { subscriptions: {} }),
      ];
      const only = (...participants: { id: string }[]) => ({
        sessionId: session,
        participants: participants.map(({ id }) => ({ participantId: id })),
      });
      const { wsUrl: gatewayUrl } = gateway;
      const agentPage = await chromium.openClient({ client: agents, gatewayUrl, token: agent.token });
      const supervisorPage = await chromium.openClient({ client: own, gatewayUrl, token: supervisor.token });
      await agentPage.publishTone(AGENT_TONE);
      await supervisorPage.publishTone(SUPERVISOR_TONE);
      const call = await placeCall({ sipPort: gateway.sipPort, token: caller.token, tone: CALLER_TONE });
      try {
        await rest.subscribe(session, caller.id, only(agent));
        await rest.subscribe(session, agent.id, only(caller));
        await rest.subscribe(session, supervisor.id, only(caller, agent));
        await call.tones.hears(AGENT_TONE);
        await agentPage.hears(CALLER_TONE);
        await supervisorPage.hears(CALLER_TONE);
        await supervisorPage.hears(AGENT_TONE);

        await rest.subscribe(session, agent.id, only(caller, supervisor));
        const whispering = performance.now();
        await agentPage.hears(SUPERVISOR_TONE);
        const packets = await call.tones.secondSince(whispering, SUPERVISOR_TONE);
        expect(packets.with, 'packets to the caller with the whisper in them').toBe(0);
        await call.tones.hears(AGENT_TONE);

        await rest.subscribe(session, caller.id, only(agent, supervisor));
        await call.tones.hears(SUPERVISOR_TONE);
        await call.tones.hears(AGENT_TONE);
        await call.hangUp();
      } finally {
        await call.end();
      }
    },
  );
});
