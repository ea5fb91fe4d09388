/**
 * A process of bench/program.ts: the programs' part of a gateway with one media host, and rooms in which a phone talks,
 * another phone and a program hear it, and the second phone hears the program too.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '../../src/app/version.js';
import { gateOf } from '../../src/cluster/testing/index.js';
import { createCore, type Device } from '../../src/core/index.js';
import { MemoryStore } from '../../src/core/core-store.js';
import { Programs, ProgramServer } from '../../src/devices/program/index.js';
import { Upgrades } from '../../src/devices/upgrades.js';
import { type MediaPlane, startMediaHosts } from '../../src/media/index.js';
import { silentLog } from '../../src/shared/testing/index.js';

/** Makes a room for each pair of ports, and pairs of programs that hear each other. */
export interface Order {
  readonly pairs: number;
  readonly rooms: readonly { readonly talkerPort: number; readonly listenerPort?: number | undefined }[];
}

export interface Room {
  /** Where the gateway receives the two phones. */
  readonly talkerPort: number;
  readonly listenerPort: number;
  /** Of the program. */
  readonly token: string;
}

/** What the process answers. */
export interface Opened {
  readonly port: number;
  readonly hostPid: number;
  readonly rooms: readonly Room[];
  /** The tokens of the programs of all pairs. */
  readonly pairs: readonly string[];
}

const ACCOUNT = 'bench';
const NO_LIMIT = { burst: 100_000, perSecond: 100_000 };

const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-bench-'));
const core = createCore({
  tokenSecret: 'a secret of more than thirty-two bytes',
  store: new MemoryStore(),
  limits: { devicesPerAccount: 10_000 },
  log: silentLog,
});

async function startPlane(): Promise<{ plane: MediaPlane; hostPid: number }> {
  let hostPid = 0;
  // The host is plain JavaScript: without the loader of TypeScript, which takes memory and a thread.
  process.execArgv.length = 0;
  const plane = await startMediaHosts(
    {
      dataDir,
      hosts: 1,
      program: 'dist/media-host.js',
      version: VERSION,
      handoverMs: 10_000,
      media: {
        rtpHost: '127.0.0.1',
        rtpPorts: [20_000, 29_999],
        webrtcHost: '127.0.0.1',
        mediaTimeoutMs: 60_000,
      },
      webrtcPort: 0,
      onSuperseded: () => undefined,
    },
    ({ fields }) => {
      if (typeof fields['hostPid'] === 'number') hostPid = fields['hostPid'];
    },
  );
  await plane.releaseCarried();
  return { plane, hostPid };
}

/** @returns the port where the gateway receives it */
async function openPhone(plane: MediaPlane, participantId: string, peerPort: number): Promise<number> {
  const lines = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
  const sdpOffer = [...lines, `m=audio ${peerPort} RTP/AVP 0`, ''].join('\r\n');
  const handle = plane.open({ kind: 'phone', deviceId: participantId, sdpOffer }, () => undefined);
  const { sdp, stream } = await handle.opened;
  const device: Device = {
    info: { id: participantId, kind: 'phone', externalId: participantId, direction: 'inbound' },
    capabilities: {},
    formats: {},
    deliver: (delivery) =>
      void handle.setDelivery(delivery.map(({ streamId }) => ({ streamId, kinds: ['audio'] }))),
    watchLevels: () => undefined,
    close: () => undefined,
  };
  core
    .connect(participantId, device, { replace: false })
    .publish([{ streamId: stream!.streamId, mediaTypes: ['audio'] }]);
  return Number(/m=audio (\d+)/.exec(sdp)![1]);
}

async function makeRoom(
  plane: MediaPlane,
  { talkerPort, listenerPort }: Order['rooms'][number],
): Promise<Room> {
  const session = core.createSession(ACCOUNT, {});
  const [talker, listener, program] = [1, 2, 3].map(() =>
    core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] }),
  ) as [
    ReturnType<typeof core.createParticipant>,
    ReturnType<typeof core.createParticipant>,
    ReturnType<typeof core.createParticipant>,
  ];
  const others = (...all: readonly (typeof talker)[]) => ({
    sessionId: session.id,
    participants: all.map(({ participant }) => ({ participantId: participant.id })),
  });
  core.addToSession(ACCOUNT, session.id, talker.participant.id, {});
  core.addToSession(ACCOUNT, session.id, program.participant.id, {});
  core.addToSession(ACCOUNT, session.id, listener.participant.id, others(talker, program));
  core.setSubscriptions(ACCOUNT, session.id, program.participant.id, others(talker));
  return {
    talkerPort: await openPhone(plane, talker.participant.id, talkerPort),
    listenerPort:
      listenerPort === undefined ? 0 : await openPhone(plane, listener.participant.id, listenerPort),
    token: program.token,
  };
}

/** @returns the tokens of two programs that hear each other */
function makePair(): string[] {
  const session = core.createSession(ACCOUNT, {});
  return [1, 2].map(() => {
    const { participant, token } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] });
    core.addToSession(ACCOUNT, session.id, participant.id, { sessionId: session.id });
    return token;
  });
}

async function obey({ rooms, pairs }: Order): Promise<void> {
  const { plane, hostPid } = await startPlane();
  const server = createServer();
  const programs = new Programs({
    gate: gateOf(core),
    media: plane,
    graceMs: 0,
    log: silentLog,
    limits: { connects: NO_LIMIT, devices: NO_LIMIT, sockets: 10_000, socketsPerAddress: 10_000 },
  });
  new ProgramServer({ upgrades: new Upgrades(server), programs });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const opened = [];
  for (const room of rooms) opened.push(await makeRoom(plane, room));
  const { port } = server.address() as AddressInfo;
  const tokens = Array.from({ length: pairs }, makePair).flat();
  process.send!({ port, hostPid, rooms: opened, pairs: tokens } satisfies Opened);
  process.once('message', () => {
    void plane.stop().then(() => {
      rmSync(dataDir, { recursive: true, force: true });
      process.exit();
    });
  });
}

process.once('message', (order: Order) => void obey(order));
