import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { farNetworkMissing } from '../support/far-network.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { GatewayNetwork } from '../support/gateway-network.js';
import { PostgresServer } from '../support/postgres.js';
import { AudioProgram } from '../support/program.js';
import { DEVELOPMENT_ACCOUNT, Rest } from '../support/rest.js';
import { placeCall, placeRefusedCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const CALLER_TONE = 440;
const AGENT_TONE = 700;
const SUPERVISOR_TONE = 1100;
const LIMIT = { withinMs: 20_000, everyMs: 20 };
/** A second of audio, of which a busy machine may lose a part. */
const MOST_OF_A_SECOND = 25;

const missing = farNetworkMissing();

describe.skipIf(missing !== undefined)(`gateways in a network${missing ? ` (${missing})` : ''}`, () => {
  let network: GatewayNetwork;
  let server: PostgresServer;
  const gateways: TestGateway[] = [];
  const calls: SippCall[] = [];
  let program: AudioProgram | undefined;
  let speaking: NodeJS.Timeout | undefined;

  beforeEach(async () => {
    network = new GatewayNetwork(2);
    server = await PostgresServer.start({ network: network.database });
  });
  afterEach(async () => {
    for (const call of calls.splice(0)) await call.end();
    clearInterval(speaking);
    program?.cut();
    network.join(0);
    for (const gateway of gateways.splice(0)) await gateway.stop();
    await server.stop();
    network.stop();
  });

  const start = async (at: number, url: string): Promise<TestGateway> => {
    const { runBy, env } = network.places[at]!;
    const gateway = await startGateway({
      runBy,
      env: {
        ...env,
        PATCHBAY_STORE: url,
        PATCHBAY_MEDIA_HOSTS: '1',
        // However slow the machine is, the gateway is not given up.
        PATCHBAY_EDGE_LEASE: '60',
        PATCHBAY_FREESWITCH: '',
        PATCHBAY_DRACHTIO: '',
      },
    });
    gateways.push(gateway);
    return gateway;
  };

  it('one is cut off: who is there goes on, nobody new comes in, and all is as it should be when it is joined again', async () => {
    const url = await server.database();
    const leader = await start(1, url);
    const edge = await start(0, url);
    const rest = new Rest(leader);
    const session = await rest.session();
    const [caller, agent, supervisor, late] = [
      await rest.member(session, { subscriptions: {} }),
      await rest.member(session, { subscriptions: {} }),
      await rest.member(session, { subscriptions: {} }),
      await rest.member(session),
    ];
    const only = (...participants: { id: string }[]) => ({
      sessionId: session,
      participants: participants.map(({ id }) => ({ participantId: id })),
    });
    const at = {
      sipPort: edge.sipPort,
      host: network.phonesHost,
      callee: network.places[0]!.outsideHost,
      limitS: 120,
    };
    const callerCall = await placeCall({ ...at, token: caller.token, tone: CALLER_TONE });
    calls.push(callerCall);
    const agentCall = await placeCall({ ...at, token: agent.token, tone: AGENT_TONE });
    calls.push(agentCall);
    program = await AudioProgram.connect(leader.wsUrl, supervisor.token);
    program.playTone(SUPERVISOR_TONE, 3);
    speaking = setInterval(() => program?.playTone(SUPERVISOR_TONE, 1), 1000);
    await rest.subscribe(session, caller.id, only(agent));
    await rest.subscribe(session, agent.id, only(caller, supervisor));
    await rest.subscribe(session, supervisor.id, only(caller, agent));
    // A whisper from the other gateway.
    await agentCall.tones.hears(SUPERVISOR_TONE);
    await agentCall.tones.hears(CALLER_TONE);
    await callerCall.tones.hears(AGENT_TONE);
    await program.hears(CALLER_TONE);
    await program.hears(AGENT_TONE);
    const devices = await devicesOf(rest, [caller, agent, supervisor]);

    network.cut(0);
    await agentCall.tones.stopsHearing(SUPERVISOR_TONE);
    await program.hearsNoMore(CALLER_TONE);
    const readiness = async (): Promise<number> => (await fetch(`${edge.httpUrl}/readyz`)).status;
    await until('that it knows', async () => (await readiness()) === 503, LIMIT);
    const aside = performance.now();
    expect(await askedSessions(edge)).toEqual({ status: 503, retryAfter: '1', reason: 'PATCHBAY_NO_LEADER' });
    const refusal = await placeRefusedCall({ ...at, token: late.token });
    expect([refusal.status, Number(refusal.header('Retry-After')) > 0]).toEqual([503, true]);
    expect(await refusalOf(`${edge.wsUrl}/program/?token=${late.token}`)).toBe(503);
    const page = new URLSearchParams({
      token: late.token,
      client: 'browser',
      sdkVersion: '0.12.0',
      uniqueId: 'p',
    });
    expect(await refusalOf(`${edge.wsUrl}/v3/?${page.toString()}`)).toBe(1012);
    // The leader decides otherwise meanwhile: the whisper is for the caller.
    await rest.subscribe(session, agent.id, only(caller));
    await rest.subscribe(session, caller.id, only(agent, supervisor));
    // Who is there goes on, though the leader wants something else by now.
    const [atCaller, atAgent] = [
      await callerCall.tones.secondSince(aside, AGENT_TONE),
      await agentCall.tones.secondSince(aside, CALLER_TONE),
    ];
    expect(Math.min(atCaller.with, atAgent.with), 'packets with what was heard before').toBeGreaterThan(
      MOST_OF_A_SECOND,
    );

    network.join(0);
    const joinedAt = performance.now();
    await callerCall.tones.hears(SUPERVISOR_TONE);
    console.info(
      `heard across ${Math.round(performance.now() - joinedAt)} ms after the network is there again`,
    );
    const whispering = performance.now();
    await program.hears(CALLER_TONE);
    await program.hears(AGENT_TONE);
    await callerCall.tones.hears(AGENT_TONE);
    expect((await agentCall.tones.secondSince(whispering, SUPERVISOR_TONE)).with).toBe(0);
    for (const gateway of [leader, edge])
      expect(await devicesOf(new Rest(gateway), [caller, agent, supervisor])).toEqual(devices);
    const lateCall = await placeCall({ ...at, token: late.token });
    calls.push(lateCall);
    await lateCall.tones.hears(SUPERVISOR_TONE);
    // The gateway says BYE to nobody: their own BYEs are what SIPp expects.
    for (const call of calls) await call.hangUp();
    for (const call of calls) expect(call.messages.filter(isByeOfGateway)).toEqual([]);
    await until('records', async () => (await endReasons(rest)).length === 3, LIMIT);
    expect(await endReasons(rest)).toEqual(['left', 'left', 'left']);
  }, 150_000);
});

const isByeOfGateway = ({ direction, method }: { direction: string; method?: string }): boolean =>
  direction === 'received' && method === 'BYE';

const devicesOf = (rest: Rest, participants: readonly { readonly id: string }[]): Promise<string[]> =>
  Promise.all(participants.map(async ({ id }) => (await rest.device(id)).id));

async function askedSessions({ httpUrl }: TestGateway) {
  const { id, user, password } = DEVELOPMENT_ACCOUNT;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const answer = await fetch(`${httpUrl}/v1/accounts/${id}/sessions`, { headers: { authorization } });
  const { reason } = (await answer.json()) as { reason?: string };
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), reason };
}

/** The status by which a WebSocket is refused, or the code with which it is closed. */
function refusalOf(url: string): Promise<number> {
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) =>
    socket
      .on('error', reject)
      .on('close', resolve)
      .on('unexpected-response', (_request, { statusCode = 0 }) => {
        socket.on('error', () => undefined).terminate();
        resolve(statusCode);
      }),
  );
}

/** Of the calls that are over. */
async function endReasons(rest: Rest): Promise<string[]> {
  const { items } = (await rest.request('GET', '/usage')) as { items: { endReason?: string }[] };
  return items.flatMap(({ endReason }) => endReason ?? []);
}
