import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Call,
  CrossingStage,
  pipesUp,
  PlaneDevice,
  Side,
} from '../../src/app/testing/crossing-stage.js';
import { VERSION } from '../../src/app/version.js';
import { type MediaPlane, startMediaHosts } from '../../src/media/index.js';
import { kill, processOf } from '../../src/media/host/processes.js';
import { leftHosts } from '../support/gateway.js';

const [ANN, BOB] = [700, 1300];
const LOOPBACK = '127.0.0.1';

/** A plane whose devices are on two media hosts of a data folder. */
function hosts(dataDir: string): Promise<MediaPlane> {
  return startMediaHosts(
    {
      dataDir,
      hosts: 2,
      program: resolve('dist/media-host.js'),
      version: VERSION,
      handoverMs: 60_000,
      media: { rtpHost: LOOPBACK, rtpPorts: [20_000, 29_999], webrtcHost: LOOPBACK, mediaTimeoutMs: 60_000 },
      webrtcPort: 0,
      pipeHost: LOOPBACK,
      onSuperseded: () => undefined,
    },
    () => undefined,
  );
}

describe('streams between the media hosts of two gateways', { timeout: 120_000 }, () => {
  let folders: string[];
  let stage: CrossingStage;
  let a: Side;
  let b: Side;
  let calls: { ann: Call; bob: Call };
  beforeEach(async () => {
    folders = ['a', 'b'].map((name) => mkdtempSync(join(tmpdir(), `patchbay-crossings-${name}-`)));
    stage = new CrossingStage();
    const planes = await Promise.all(folders.map(hosts));
    a = new Side('a', planes[0]!);
    b = new Side('b', planes[1]!);
    stage.connect(a);
    stage.connect(b);
    calls = { ann: await a.call(stage.member()), bob: await b.call(stage.member()) };
    calls.ann.phone.play(ANN);
    calls.bob.phone.play(BOB);
    await hearEachOther();
  });
  afterEach(async () => {
    await stage.stop();
    expect(folders.flatMap(leftHosts), 'stopped planes leave no process').toEqual([]);
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  const hearEachOther = async (): Promise<void> => {
    await Promise.all([calls.ann.hears(BOB), calls.bob.hears(ANN)]);
  };
  const hostOf = (side: Side): string => side.plane.hostLoads().find(({ devices }) => devices > 0)!.id;

  it.each(['the sender', 'the receiver'])('come back when the media host of %s dies', async (whose) => {
    const side = whose === 'the sender' ? a : b;
    const host = hostOf(side);
    kill(processOf(host)!);
    await vi.waitUntil(() => side.plane.hosts().lost === 1, { timeout: 20_000 });
    await hearEachOther();
    expect(hostOf(side)).not.toBe(host);
    await vi.waitUntil(() => side.plane.hosts().present === 2, { timeout: 20_000 });
  });

  it('lose nothing when a gateway is exchanged, nor when another leader takes over', async () => {
    // Counted between two moments at which nothing is under way.
    const start = await still();
    const { connections } = b.plane.crossings!.counters();
    resume();
    const next = await hosts(folders[0]!);
    const exchanged = new Side('a', next);
    const { ann } = calls;
    const { id } = ann.device.info;
    const device = new PlaneDevice(
      id,
      'phone',
      next.adoptPhone(id, () => undefined)!,
    );
    exchanged.place(
      device,
      ann.participant,
      next.carried().find(({ deviceId }) => deviceId === id)?.streams ?? ann.streams,
      true,
    );
    const before = a;
    stage.connect(exchanged);
    a = exchanged;
    await device.connection.admitted;
    await next.releaseCarried();
    await before.plane.stop();
    await hearEachOther();
    stage.lead();
    await vi.waitUntil(() => a.edge.isConnected && b.edge.isConnected);
    await hearEachOther();
    const end = await still();
    expect(end.received - start.received, 'packets that came by the pipe').toBe(end.said - start.said);
    expect(b.plane.crossings!.counters()).toMatchObject({ connections, packetsDropped: 0 });
  });

  function resume(): void {
    calls.ann.phone.play(ANN);
  }

  /** Silences a phone, and waits until all that it has said has come. */
  async function still(): Promise<{ said: number; received: number }> {
    calls.ann.phone.stop();
    await pipesUp(b, 2);
    let received = -1;
    // Hosts tell their counters twice a second.
    await vi.waitUntil(
      () => {
        const before = received;
        received = b.plane.crossings!.counters().packetsReceived;
        return received === before;
      },
      { timeout: 20_000, interval: 1_200 },
    );
    return { said: calls.ann.phone.sent, received };
  }
});
