import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TcpRelay } from '../../test/support/tcp-relay.js';
import { browserAnswer } from '../media/browser/testing/browser-sdp.js';
import { sine } from '../media/phone/testing/spectrum.js';
import { HostPlane } from '../media/pipe/testing/host-plane.js';
import { isRtcp } from '../media/rtp/index.js';
import { type Call, CrossingStage, pipesUp, PlaneDevice, Side } from './testing/crossing-stage.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 20_000 });

const [ANN, BOB, EVE] = [700, 1300, 1900];
const LOOPBACK = '127.0.0.1';

describe('streams between gateways', () => {
  let stage: CrossingStage;
  let a: Side;
  let b: Side;
  let relay: TcpRelay;
  /** Of browsers at b. */
  let transports: HostPlane['transports'];
  beforeEach(() => {
    stage = new CrossingStage();
    a = new Side('a', new HostPlane(LOOPBACK), async (door) => {
      relay = await TcpRelay.start(door.port);
      return { ...door, port: relay.port };
    });
    const plane = new HostPlane(LOOPBACK);
    transports = plane.transports;
    b = new Side('b', plane);
    stage.connect(a);
    stage.connect(b);
  });
  afterEach(async () => {
    await stage.stop();
    await relay.stop();
  });

  /** Two phones at two gateways that hear each other. */
  async function talk(): Promise<{ ann: Call; bob: Call }> {
    const ann = await a.call(stage.member());
    const bob = await b.call(stage.member());
    ann.phone.play(ANN);
    bob.phone.play(BOB);
    await Promise.all([ann.hears(BOB), bob.hears(ANN)]);
    return { ann, bob };
  }

  it('let phones hear each other, once for all that hear them there', async () => {
    const { ann, bob } = await talk();
    const third = await b.call(stage.member());
    await third.hears(ANN);
    await third.hears(BOB);
    expect(a.plane.crossings!.counters().connected).toBe(2);
    ann.phone.stop();
    bob.phone.stop();
    await vi.waitUntil(
      () => a.plane.crossings!.counters().packetsSent === b.plane.crossings!.counters().packetsReceived,
    );
    // RTP as it is: no more than the phone has sent.
    expect(a.plane.crossings!.counters().packetsSent).toBeLessThanOrEqual(ann.phone.sent);
    expect(a.plane.crossings!.counters().bytesSent).toBeGreaterThan(ann.phone.sent * 160);
  });

  it('carry a whisper, and follow a change of subscriptions', async () => {
    const [caller, agent, supervisor] = [stage.member(), stage.member(), stage.member()];
    stage.subscribe(caller, [agent]);
    stage.subscribe(agent, [caller, supervisor]);
    const calls = {
      caller: await a.call(caller),
      agent: await b.call(agent),
      supervisor: await a.call(supervisor),
    };
    calls.caller.phone.play(ANN);
    calls.agent.phone.play(BOB);
    calls.supervisor.phone.play(EVE);
    await calls.agent.hears(ANN);
    await calls.agent.hears(EVE);
    await calls.supervisor.hears(BOB);
    await calls.caller.hears(BOB);
    await calls.caller.hearsNot(EVE);
    stage.subscribe(agent, [caller]);
    stage.subscribe(caller);
    await calls.agent.hearsNot(EVE);
    await calls.caller.hears(EVE);
    await calls.agent.hears(ANN);
  });

  it('let a browser have the packets as they are, with none lost when another leader takes over', async () => {
    const ann = await a.call(stage.member());
    const { transport, numbers } = await browser(stage.member());
    const send = numbered(ann);
    await vi.waitUntil(() => numbers().length > 10, { timeout: 20_000 });
    const { connections } = b.plane.crossings!.counters();
    for (let leader = 0; leader < 3; leader += 1) {
      const seen = numbers().length;
      stage.lead();
      await vi.waitUntil(() => a.edge.isConnected && b.edge.isConnected && numbers().length > seen + 25, {
        timeout: 20_000,
      });
    }
    const last = send.stop();
    await vi.waitUntil(() => numbers().at(-1) === last);
    const all = numbers();
    expect(all).toEqual(Array.from({ length: all.length }, (_, at) => all[0]! + at));
    expect(b.plane.crossings!.counters()).toMatchObject({ connections, packetsDropped: 0 });
    transport.become('closed');
  });

  it('go on while a gateway is cut off from the leader, and follow it afterwards', async () => {
    const { ann, bob } = await talk();
    a.cut();
    const eve = await b.call(stage.member());
    eve.phone.play(EVE);
    await bob.hears(EVE);
    await Promise.all([ann.hears(BOB), bob.hears(ANN)]);
    await ann.hearsNot(EVE);
    stage.reconnect(a);
    await ann.hears(EVE);
    await eve.hears(ANN);
  });

  it('come back when their connection is cut', async () => {
    const { ann, bob } = await talk();
    const { connections } = b.plane.crossings!.counters();
    relay.down();
    await pipesUp(b, 1);
    await bob.hearsNot(ANN);
    relay.up();
    await bob.hears(ANN);
    await ann.hears(BOB);
    expect(b.plane.crossings!.counters().connections).toBe(connections + 1);
  });

  it('carry what is played from another gateway', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'crossings-'));
    try {
      const path = join(folder, 'prompt');
      await writeFile(path, Buffer.from(sine(EVE, 8000, 8000 * 10).buffer));
      const participant = stage.member();
      const bob = await b.call(participant);
      const file = a.plane.open(
        {
          kind: 'file',
          deviceId: randomUUID(),
          listenerId: bob.device.info.id,
          path,
          rate: 8000,
          times: 0,
          volume: 1,
        },
        () => undefined,
      );
      stage.core.announcements.announce(participant, [(await file.opened).streamId]);
      await bob.hears(EVE);
      await file.close();
      await bob.hearsNot(EVE);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  /** Sends packets whose payload counts. @returns a function that stops it, and tells the last number */
  function numbered({ phone }: Call): { stop: () => number } {
    let number = 0;
    const timer = setInterval(() => {
      number += 1;
      const payload = Buffer.alloc(160);
      payload.writeUInt32BE(number);
      phone.send(payload, 0, number * 160);
    }, 20);
    return {
      stop: () => {
        clearInterval(timer);
        return number;
      },
    };
  }

  /** A browser that receives one stream. @returns the numbers in the packets that it got */
  async function browser(participantId: string) {
    const deviceId = randomUUID();
    let transport: HostPlane['transports']['last'] | undefined;
    const handle = b.plane.open({ kind: 'browser', deviceId }, (event) => {
      if (event.type !== 'subscribeOffer') return;
      void handle.answerSubscribe(browserAnswer(event.offer.sdpOffer)).then(() => {
        transport = transports.last;
        transport.become('connected');
      });
    });
    await handle.opened;
    b.place(new PlaneDevice(deviceId, 'browser', handle), await b.participant(participantId), []);
    const present = await vi.waitUntil(() => transport, { timeout: 10_000 });
    return {
      transport: present,
      numbers: (): number[] =>
        present.sent.filter((packet) => !isRtcp(packet)).map((packet) => packet.readUInt32BE(12)),
    };
  }
});
