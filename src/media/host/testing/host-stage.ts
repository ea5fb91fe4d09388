import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { LiveStreams } from '../../live-streams.js';
import { FakeMediaPlane } from '../../testing/fake-plane.js';
import { HostFolder } from '../folder.js';
import { HostLink } from '../link.js';
import { type HostOptions, PROTOCOL } from '../messages.js';
import { HostServer } from '../server.js';

const OPTIONS: HostOptions = {
  rtpHost: '127.0.0.1',
  rtpPorts: [30_000, 30_999],
  webrtcHost: '127.0.0.1',
  webrtcPorts: [0],
  mediaTimeoutMs: 60_000,
};

interface TestHost {
  readonly folder: HostFolder;
  readonly id: string;
  readonly plane: FakeMediaPlane;
  readonly streams: LiveStreams;
  readonly server: HostServer;
  readonly ended: Promise<void>;
  greet(
    epoch: number,
    changes?: { secret?: string; version?: string; handoverMs?: number; pipeHost?: string },
  ): Promise<HostLink>;
}

interface HostStage {
  /** A host in this process whose plane writes down what it is told. */
  start(options?: { handoverMs?: number; folder?: string }): Promise<TestHost>;
  /** The data folder of the test. */
  folder(): string;
}

/** Call it at the top of a file. Each test has a data folder of its own; its hosts end with it. */
export function useHosts(): HostStage {
  let dataDir: string;
  const servers: HostServer[] = [];
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'patchbay-host-'));
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.end()));
    await rm(dataDir, { recursive: true });
  });
  return {
    folder: () => dataDir,
    async start({ handoverMs = 60_000, folder: path = dataDir } = {}) {
      const folder = await HostFolder.open(path);
      const id = HostFolder.newId();
      const plane = new FakeMediaPlane();
      const streams = new LiveStreams(() => undefined);
      let end = (): void => undefined;
      const ended = new Promise<void>((resolve) => (end = resolve));
      const server = new HostServer({
        id,
        folder,
        version: '1.0.0',
        handoverMs,
        makePlane: () => ({
          plane,
          streams,
          webrtcPort: () => Promise.resolve(7000),
        }),
        onEnd: end,
      });
      await server.start();
      servers.push(server);
      return {
        folder,
        id,
        plane,
        streams,
        server,
        ended,
        greet: (
          epoch,
          { secret = folder.secret, version = '1.0.0', handoverMs: wait = 60_000, pipeHost } = {},
        ) =>
          HostLink.open(id, folder.socketOf(id), {
            protocol: PROTOCOL,
            version,
            epoch,
            secret,
            options: OPTIONS,
            handoverMs: wait,
            pipeHost,
          }),
      };
    },
  };
}
