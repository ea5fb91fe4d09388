import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFailed, vi } from 'vitest';
import { launchChromium, type ClientPage, type TestBrowser } from '../support/chromium.js';
import { leftHosts, startGateway, type TestGateway } from '../support/gateway.js';
import { readMetrics, sumOf } from '../support/metrics.js';
import { freeUdpPort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const [CALLER, AGENT, SUPERVISOR, COLLEAGUE] = [440, 700, 1_100, 1_500];
const KILLS = 10;
/** The last is an exchange by SIGUSR2. */
const DEATHS = KILLS + 1;
/** Three seconds. */
const CONTROL_PACKETS = 150;

let dataDir: string;
let gateway: TestGateway;
let chrome: TestBrowser;
let env: Record<string, string>;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-hosts-'));
  env = { PATCHBAY_MEDIA_HOSTS: '2', PATCHBAY_WEBRTC_PORT: String(await freeUdpPort()) };
  [gateway, chrome] = await Promise.all([startGateway({ dataDir, env }), launchChromium()]);
  env['PATCHBAY_HTTP_PORT'] = String(gateway.httpPort);
  env['PATCHBAY_SIP_PORT'] = String(gateway.sipPort);
});
afterEach(async () => {
  await Promise.all([chrome.close(), gateway.stop()]);
  expect(leftHosts(dataDir), 'a stopped gateway leaves no process').toEqual([]);
  rmSync(dataDir, { recursive: true, force: true });
});

interface Scene {
  readonly rest: Rest;
  readonly session: string;
  readonly ids: Record<'caller' | 'colleague' | 'agent' | 'supervisor', string>;
  readonly caller: SippCall;
  readonly colleague: SippCall;
  readonly agent: ClientPage;
  readonly supervisor: ClientPage;
  /** Streams that the agent receives, by whose they are. */
  readonly streams: readonly string[];
}

/** Two phones, an agent, and a supervisor who whispers to the agent; the caller hears the agent and the colleague. */
async function whisper(): Promise<Scene> {
  const rest = new Rest(gateway);
  const session = await rest.session();
  // Members before they have a session, so that their devices are spread over the hosts.
  const [caller, colleague, agent, supervisor] = [
    await rest.participant(),
    await rest.participant(),
    await rest.participant(),
    await rest.participant(),
  ];
  const { wsUrl: gatewayUrl, sipPort } = gateway;
  const calls = [
    await placeCall({ sipPort, token: caller.token, tone: CALLER, limitS: 180 }),
    await placeCall({ sipPort, token: colleague.token, tone: COLLEAGUE, limitS: 180 }),
  ] as const;
  const agentPage = await chrome.openClient({ client: '0.12', gatewayUrl, token: agent.token });
  const supervisorPage = await chrome.openClient({ client: '0.9', gatewayUrl, token: supervisor.token });
  await agentPage.publishTone(AGENT, { alias: 'voice' });
  await supervisorPage.publishTone(SUPERVISOR);
  const only = (...members: { id: string }[]) => ({
    sessionId: session,
    participants: members.map(({ id }) => ({ participantId: id })),
  });
  await rest.join(session, caller.id, only(agent, colleague));
  await rest.join(session, colleague.id, only(caller, agent));
  await rest.join(session, agent.id, only(caller, colleague, supervisor));
  await rest.join(session, supervisor.id, only(caller));
  await calls[0].tones.hears(AGENT);
  await calls[0].tones.hears(COLLEAGUE);
  await calls[1].tones.hears(CALLER);
  const streams = [];
  for (const [hz, { id: participantId }] of [
    [CALLER, caller],
    [COLLEAGUE, colleague],
    [SUPERVISOR, supervisor],
  ] as const) {
    await agentPage.hears(hz, { participantId });
    streams.push((await agentPage.receives({ participantId })).streamId);
  }
  return {
    rest,
    session,
    ids: { caller: caller.id, colleague: colleague.id, agent: agent.id, supervisor: supervisor.id },
    caller: calls[0],
    colleague: calls[1],
    agent: agentPage,
    supervisor: supervisorPage,
    streams,
  };
}

interface Damage {
  readonly lost: number;
  readonly concealedMs: number;
}

/** What the agent has lost of each stream that it receives. */
async function damage({ agent, streams }: Scene): Promise<Damage[]> {
  const counters = await Promise.all(streams.map(async (stream) => (await agent.counters(stream)).audio!));
  return counters.map(({ packetsLost, concealedSamples }) => ({
    lost: packetsLost,
    concealedMs: concealedSamples / 48,
  }));
}

describe('a gateway that dies', { timeout: 180_000 }, () => {
  it('is not heard when it is killed or exchanged, and the next one goes on with its calls', async () => {
    onTestFailed(() => console.error(gateway.log.map((line) => JSON.stringify(line)).join('\n')));
    const scene = await whisper();
    const { rest, session, ids, caller, colleague, agent } = scene;
    const device = await rest.device(ids.caller);
    // What the machine alone conceals, to compare with.
    const quietSince = performance.now();
    const quiet = await damage(scene);
    const quietPackets = caller.tones.packets + CONTROL_PACKETS;
    await until('the control', () => caller.tones.packets >= quietPackets, { withinMs: 30_000 });
    const [breaks, before] = [caller.tones.breaks + colleague.tones.breaks, await damage(scene)];
    const heardSince = performance.now();
    for (let death = 0; death < DEATHS; death += 1) {
      await (death < KILLS ? gateway.kill() : gateway.exchange());
      gateway = await startGateway({ dataDir, env });
      expect((await rest.device(ids.caller)).id).toBe(device.id);
    }
    expect(caller.tones.breaks + colleague.tones.breaks - breaks, 'breaks in the phones’ sequence').toBe(0);
    const whispered = caller.tones.packetsSince(heardSince, SUPERVISOR);
    expect(whispered.with, 'packets to the caller with the whisper in them').toBe(0);
    expect(whispered.without).toBeGreaterThan(50);
    const times = (performance.now() - heardSince) / (heardSince - quietSince);
    for (const [stream, after] of (await damage(scene)).entries()) {
      const start = before[stream]!;
      expect(after.lost - start.lost, 'packets lost').toBe(0);
      const byMachine = (start.concealedMs - quiet[stream]!.concealedMs) * times;
      expect(after.concealedMs - start.concealedMs - byMachine, 'ms concealed').toBeLessThan(60 * DEATHS);
    }

    // Pages come back to their devices, and everything goes on as before.
    await vi.waitFor(async () => {
      expect(sumOf(await readMetrics(gateway), 'patchbay_browser_sockets')).toBe(2);
    }, 30_000);
    expect((await rest.device(ids.agent)).streams).toMatchObject([{ alias: 'voice' }]);
    await rest.subscribe(session, ids.caller, { sessionId: session });
    await caller.tones.hears(SUPERVISOR);
    await rest.subscribe(session, ids.agent, { participants: [{ participantId: ids.supervisor }] });
    await agent.stopsHearing(CALLER);
    // BYE from either side.
    await caller.hangUp();
    await vi.waitFor(async () => {
      await expect(rest.device(ids.caller)).rejects.toThrow('404');
    }, 20_000);
    await rest.disconnectDevice(ids.colleague);
    await colleague.hungUp();
    await Promise.all([caller.end(), colleague.end()]);
    const { items } = (await rest.request('GET', '/usage')) as { items: { endReason?: string }[] };
    expect(items.filter(({ endReason }) => endReason === 'crashed')).toEqual([]);
    expect(items).toHaveLength(4);
  });
});
