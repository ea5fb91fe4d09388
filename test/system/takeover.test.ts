import { afterEach, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { killMachine, removeMachine } from '../support/gateway-machine.js';
import { ladderOf } from '../support/ladder.js';
import { freePort } from '../support/ports.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { Softphone } from '../support/softphones.js';
import { until } from '../support/until.js';
import { usePostgres } from '../support/use-postgres.js';

const SOFTPHONE_TONE = 500;
const OTHER_TONE = 700;
const NEAR_TONE = 900;
/** What the other party says once the call has moved. */
const LATER_TONE = 1100;
const LEASE_S = 2;
/** Packets that show that somebody is heard again. */
const ENOUGH_PACKETS = 10;
const LIMIT = { withinMs: 30_000, everyMs: 20 };

describe('a phone whose gateway is gone', () => {
  const server = usePostgres();
  const gateways: TestGateway[] = [];
  let url: string;

  const start = async (before?: TestGateway): Promise<TestGateway> => {
    const gateway = await startGateway({
      env: {
        PATCHBAY_STORE: url,
        PATCHBAY_MEDIA_HOSTS: '1',
        PATCHBAY_EDGE_LEASE: String(LEASE_S),
        PATCHBAY_SIP_PORT: String(before?.sipPort ?? (await freePort())),
        PATCHBAY_FREESWITCH: '',
        PATCHBAY_DRACHTIO: '',
      },
      ...(before && { dataDir: before.dataDir }),
    });
    gateways.push(gateway);
    return gateway;
  };

  afterEach(async () => {
    for (const gateway of gateways.splice(0).reverse()) await removeMachine(gateway);
  });

  /** A softphone at one gateway and SIPp at another hear each other. */
  async function talk(at: TestGateway, otherAt: TestGateway) {
    const rest = new Rest(otherAt);
    const session = await rest.session();
    const [member, other] = [await rest.member(session), await rest.member(session)];
    const call = await placeCall({ sipPort: otherAt.sipPort, token: other.token, tone: OTHER_TONE });
    const phone = Softphone.baresip({
      uri: `sip:gw@127.0.0.1:${at.sipPort};token=${member.token}`,
      tone: SOFTPHONE_TONE,
    });
    await call.tones.hears(SOFTPHONE_TONE);
    await until('the call is in the store', async () => (await storedCalls()) === 2, LIMIT);
    const device = await rest.device(member.id);
    return { rest, session, member, call, phone, device };
  }

  async function storedCalls(): Promise<number> {
    return (await server().sql('SELECT id FROM patchbay.calls', url)).length;
  }

  async function heardAgain({ tones }: SippCall, since: number): Promise<number> {
    await until('sound', () => tones.packetsSince(since, SOFTPHONE_TONE).with >= ENOUGH_PACKETS, LIMIT);
    return Math.round(performance.now() - since);
  }

  /** Both still hear each other, the call is one device and one record, and the softphone ends it. */
  async function goesOnAt(
    gateway: TestGateway,
    { rest, member, call, phone, device }: Awaited<ReturnType<typeof talk>>,
  ): Promise<void> {
    call.tones.frequency = LATER_TONE;
    await gateway.waitForLog(({ msg }) => msg === 'Call goes on.');
    expect(await rest.device(member.id)).toMatchObject({ id: device.id });
    await phone.listen();
    await phone.hangUp();
    expect(phone.heard(LATER_TONE)).toBe(true);
    await until('its record', async () => (await ends(rest, member.id)).length === 1, LIMIT);
    expect(await ends(rest, member.id)).toEqual(['left']);
    await call.hangUp();
  }

  it('goes on at another one within seconds when all processes there are dead', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    const scene = await talk(edge, leader);
    try {
      const since = performance.now();
      await killMachine(edge);
      console.info(`heard again ${await heardAgain(scene.call, performance.now())} ms after`);
      console.info(`in all ${Math.round(performance.now() - since)} ms`);
      await goesOnAt(leader, scene);
    } finally {
      await scene.phone.end();
      await scene.call.end();
    }
  });

  it('goes on at another one that begins to lead, when the leader’s processes are dead', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    const scene = await talk(leader, edge);
    try {
      const since = performance.now();
      await killMachine(leader);
      console.info(`heard again ${await heardAgain(scene.call, since)} ms after the leader's death`);
      await goesOnAt(edge, scene);
    } finally {
      await scene.phone.end();
      await scene.call.end();
    }
  });

  it('goes on at another one when its gateway hangs, which then forgets it', async () => {
    url = await server().database();
    const [leader, edge] = [await start(), await start()];
    const scene = await talk(edge, leader);
    const { phone, call, rest } = scene;
    const { token } = await rest.member(scene.session);
    const near = await placeCall({ sipPort: edge.sipPort, token, tone: NEAR_TONE });
    try {
      await near.tones.hears(OTHER_TONE);
      await until('it is in the store', async () => (await storedCalls()) === 3, LIMIT);
      process.kill(edge.pid, 'SIGSTOP');
      // Its media hosts live, and cease to send before anybody else goes on with its calls.
      const packetsLately = (): number => {
        const { with: loud, without } = near.tones.packetsSince(performance.now() - 500, OTHER_TONE);
        return loud + without;
      };
      await until('nothing is sent', () => packetsLately() === 0, LIMIT);
      expect(leader.log.some(({ msg }) => msg === 'Call goes on.')).toBe(false);
      await leader.waitForLog(({ msg }) => msg === 'Call goes on.', 30_000);
      console.info(`heard again ${await heardAgain(call, performance.now())} ms after it was taken over`);
      process.kill(edge.pid, 'SIGCONT');
      await edge.waitForLog(({ msg }) => msg === 'Another gateway goes on with the call.');
      const mine = edge.log.filter(({ participantId }) => participantId === scene.member.id);
      expect(mine.map(({ msg }) => msg)).not.toContain('Hanging up.');
      await heardAgain(call, performance.now());
      await goesOnAt(leader, scene);
      // What was said at both gateways, in one ladder.
      const ladder = await ladderOf(rest, scene.device.externalId);
      expect(ladder.slice(0, 3)).toEqual(['in  INVITE', 'out 200 INVITE', 'in  ACK']);
      expect(ladder.slice(3)).toEqual(
        expect.arrayContaining(['out  INVITE', 'in 200 INVITE', 'out  ACK', 'in  BYE', 'out 200 BYE']),
      );
    } finally {
      process.kill(edge.pid, 'SIGCONT');
      await near.end();
      await phone.end();
      await call.end();
    }
  });
});

/** Why a participant's calls ended, of what was billed so far. */
async function ends(rest: Rest, participantId: string): Promise<readonly string[]> {
  const { items } = (await rest.request('GET', '/usage')) as {
    items: { participantId: string; endReason?: string }[];
  };
  return items.flatMap((item) => (item.participantId === participantId ? (item.endReason ?? []) : []));
}
