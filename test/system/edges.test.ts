import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { ladderOf, tracePath } from '../support/ladder.js';
import { freePort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { servesAgain } from '../support/serves-again.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';
import { usePostgres } from '../support/use-postgres.js';

const CALLER_TONE = 440;
const AGENT_TONE = 700;
const SUPERVISOR_TONE = 1100;
/** What is heard when somebody enters a session. */
const JOIN_TONE = 783.99;
/** A second of audio. */
const ENOUGH_PACKETS = 50;

describe('the gateways of one database', () => {
  const server = usePostgres();
  const gateways: TestGateway[] = [];
  let chromium: TestBrowser;
  let url: string;

  /** @param before an earlier process of the gateway, whose data and ports it has */
  const start = async (before?: TestGateway): Promise<TestGateway> => {
    const gateway = await startGateway({
      env: {
        PATCHBAY_STORE: url,
        PATCHBAY_MEDIA_HOSTS: '1',
        PATCHBAY_SIP_PORT: String(before?.sipPort ?? (await freePort())),
        PATCHBAY_FREESWITCH: '',
        PATCHBAY_DRACHTIO: '',
      },
      ...(before && { dataDir: before.dataDir }),
    });
    gateways.push(gateway);
    return gateway;
  };

  beforeAll(async () => {
    chromium = await launchChromium();
  });
  afterAll(() => chromium.close());
  afterEach(async () => {
    await chromium.closePages();
    for (const gateway of gateways.splice(0).reverse()) {
      await gateway.stop();
      rmSync(gateway.dataDir, { recursive: true, force: true });
    }
  });

  it('a phone at one and pages at both hear each other, and a whisper stays one', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    // All of it by a gateway that does not lead.
    const rest = new Rest(edge);
    const created = await rest.request('POST', '/sessions', { joinTones: true });
    const session = (created as { id: string }).id;
    const [caller, agent, supervisor] = [
      await rest.member(session, { subscriptions: {} }),
      await rest.member(session, { subscriptions: {} }),
      await rest.member(session, { subscriptions: {} }),
    ];
    const only = (...participants: { id: string }[]) => ({
      sessionId: session,
      participants: participants.map(({ id }) => ({ participantId: id })),
    });
    const agentPage = await chromium.openClient({
      client: '0.12',
      gatewayUrl: leader.wsUrl,
      token: agent.token,
    });
    await agentPage.publishTone(AGENT_TONE);
    const call = await placeCall({ sipPort: edge.sipPort, token: caller.token, tone: CALLER_TONE });
    try {
      await rest.subscribe(session, caller.id, only(agent));
      await call.tones.hears(AGENT_TONE);
      // The leader plays it, to a phone at the other gateway.
      const joinedAt = performance.now();
      const supervisorPage = await chromium.openClient({
        client: '0.9',
        gatewayUrl: edge.wsUrl,
        token: supervisor.token,
      });
      await until('the tone', () => call.tones.packetsSince(joinedAt, JOIN_TONE).with >= 3, LIMIT);
      await supervisorPage.publishTone(SUPERVISOR_TONE);
      await rest.subscribe(session, agent.id, only(caller));
      await rest.subscribe(session, supervisor.id, only(caller, agent));
      await call.tones.hears(AGENT_TONE);
      await agentPage.hears(CALLER_TONE);
      await supervisorPage.hears(CALLER_TONE);
      await supervisorPage.hears(AGENT_TONE);

      await new Rest(leader).subscribe(session, agent.id, only(caller, supervisor));
      const whispering = performance.now();
      await agentPage.hears(SUPERVISOR_TONE);
      const packets = await call.tones.secondSince(whispering, SUPERVISOR_TONE);
      expect(packets.with, 'packets to the caller with the whisper in them').toBe(0);

      // The phone's messages are at the gateway that does not lead: any gateway shows them, and has them forgotten.
      const { externalId } = await rest.device(caller.id);
      for (const asked of [rest, new Rest(leader)])
        expect(await ladderOf(asked, externalId)).toEqual(['in  INVITE', 'out 200 INVITE', 'in  ACK']);
      await call.hangUp();
      await expect.poll(() => ladderOf(rest, externalId)).toContain('out 200 BYE');
      await new Rest(leader).request('DELETE', tracePath(externalId));
      await expect(ladderOf(rest, externalId)).rejects.toThrow('404');
    } finally {
      await call.end();
    }
    const usage = (await rest.request('GET', '/usage')) as { items: { kind: string }[] };
    expect(usage.items.map(({ kind }) => kind)).toContain('phone');
  });

  it('the leader dies: all calls go on, another one leads within seconds, and the dead one comes back as an edge', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    const rest = new Rest(edge);
    const session = await rest.session();
    const [there, here] = [await rest.member(session), await rest.member(session)];
    const atLeader = await placeCall({ sipPort: leader.sipPort, token: there.token, tone: AGENT_TONE });
    const atEdge = await placeCall({ sipPort: edge.sipPort, token: here.token, tone: CALLER_TONE });
    try {
      await atEdge.tones.hears(AGENT_TONE);
      await atLeader.tones.hears(CALLER_TONE);
      await leader.kill();
      console.info(`REST again ${await servesAgain(rest)} ms after the leader's death`);
      const back = await start(leader);
      // Both have what they had, as the same devices, and what the new leader changes takes effect.
      const backRest = new Rest(back);
      for (const { id } of [there, here])
        expect(await backRest.device(id)).toMatchObject({ kind: 'phone', delivery: [{}] });
      const since = performance.now();
      await until('sound from the other gateway', () => soundSince(atEdge, since) >= ENOUGH_PACKETS, LIMIT);
      await backRest.subscribe(session, here.id, {
        sessionId: session,
        participants: [{ participantId: here.id }],
      });
      await until('silence', () => isSilent(atEdge), LIMIT);
      await backRest.subscribe(session, here.id, { sessionId: session });
      await atEdge.tones.hears(AGENT_TONE);
      await atLeader.hangUp();
      await atEdge.hangUp();
    } finally {
      await atLeader.end();
      await atEdge.end();
    }
    await until('two records', async () => (await records(rest)).length === 2, LIMIT);
    expect((await records(rest)).map(({ endReason }) => endReason)).toEqual(['left', 'left']);
  });

  it('an edge dies: its pages go on at another, and a phone goes on when it is back', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    const rest = new Rest(leader);
    const session = await rest.session();
    const [caller, agent] = [await rest.member(session), await rest.member(session)];
    const page = await chromium.openClient({ client: '0.12', gatewayUrl: leader.wsUrl, token: agent.token });
    await page.publishTone(AGENT_TONE);
    const call = await placeCall({ sipPort: edge.sipPort, token: caller.token, tone: CALLER_TONE });
    try {
      await call.tones.hears(AGENT_TONE);
      await page.hears(CALLER_TONE);
      await edge.kill();
      const since = performance.now();
      await until('sound without the gateway', () => soundSince(call, since) >= ENOUGH_PACKETS, LIMIT);
      const back = await start(edge);
      const again = performance.now();
      await until('sound with the gateway', () => soundSince(call, again) >= ENOUGH_PACKETS, LIMIT);
      expect(await new Rest(back).device(caller.id)).toMatchObject({ kind: 'phone' });
      await page.hears(CALLER_TONE);
      await call.hangUp();
    } finally {
      await call.end();
    }
    await until('its record', async () => (await records(rest)).some(({ kind }) => kind === 'phone'), LIMIT);
    expect((await records(rest)).filter(({ kind }) => kind === 'phone')).toMatchObject([
      { endReason: 'left' },
    ]);
  });

  it('a page that connects elsewhere before its gateway has noticed has one device', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    const rest = new Rest(leader);
    const session = await rest.session();
    const [talker, listener] = [await rest.member(session), await rest.member(session)];
    const first = await chromium.openClient({ client: '0.12', gatewayUrl: edge.wsUrl, token: talker.token });
    await first.publishTone(AGENT_TONE);
    const page = await chromium.openClient({
      client: '0.12',
      gatewayUrl: leader.wsUrl,
      token: listener.token,
    });
    await page.hears(AGENT_TONE);
    const before = await rest.device(talker.id);
    process.kill(edge.pid, 'SIGSTOP');
    try {
      const second = await chromium.openClient({
        client: '0.12',
        gatewayUrl: leader.wsUrl,
        token: talker.token,
      });
      await second.publishTone(SUPERVISOR_TONE);
      await page.hears(SUPERVISOR_TONE);
    } finally {
      process.kill(edge.pid, 'SIGCONT');
    }
    const device = await rest.device(talker.id);
    expect(device.id).not.toBe(before.id);
    // The old one is told that it is over, and is counted once.
    await until('its record', async () => (await records(rest)).length === 1, LIMIT);
    expect(await records(rest)).toMatchObject([{ endReason: 'replaced' }]);
    expect((await rest.device(talker.id)).id).toBe(device.id);
    await page.hears(SUPERVISOR_TONE);
  });

  it('one that drains takes nothing new, and the others go on', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    const rest = new Rest(edge);
    const session = await rest.session();
    const [staying, leaving] = [await rest.member(session), await rest.member(session)];
    const atEdge = await placeCall({ sipPort: edge.sipPort, token: staying.token, tone: CALLER_TONE });
    const atLeader = await placeCall({ sipPort: leader.sipPort, token: leaving.token, tone: AGENT_TONE });
    try {
      await atEdge.tones.hears(AGENT_TONE);
      expect(await leader.stop()).toBe(0);
      await servesAgain(rest);
      expect(await rest.device(staying.id)).toMatchObject({ kind: 'phone' });
      // Nobody waits for the one that has stopped.
      const { gateway } = (await rest.request('GET', '/gateway')) as { gateway: { gateways: object[] } };
      expect(gateway.gateways).toMatchObject([{ leads: true, connected: true }]);
      await until('silence', () => isSilent(atEdge), LIMIT);
      await until('a record', async () => (await records(rest)).length === 1, LIMIT);
      expect(await records(rest)).toMatchObject([{ endReason: 'shutdown' }]);
      await atEdge.hangUp();
    } finally {
      await atEdge.end();
      await atLeader.end();
    }
  });
});

const LIMIT = { withinMs: 20_000 };

/** Packets with the agent's tone that a phone got since then. */
const soundSince = (call: SippCall, since: number): number => call.tones.packetsSince(since, AGENT_TONE).with;

/** Whether a phone hears nothing of the agent for most of a second. */
function isSilent(call: SippCall): boolean {
  const { with: loud, without } = call.tones.packetsSince(performance.now() - 1_000, AGENT_TONE);
  return loud === 0 && without >= ENOUGH_PACKETS / 2;
}

/** What was billed so far. */
async function records(
  rest: Rest,
): Promise<readonly { readonly kind: string; readonly endReason?: string }[]> {
  const { items } = (await rest.request('GET', '/usage')) as {
    items: { kind: string; endReason?: string; endedAt?: string }[];
  };
  return items.filter(({ endReason }) => endReason !== undefined);
}
