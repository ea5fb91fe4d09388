import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

/** In place of a container: its first process takes all others with it, and process ids outside mean nothing inside. */
const CONTAINER = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
const [ONE, OTHER] = [440, 700];

let dataDir: string;
let host: ChildProcess;
let gateway: TestGateway;

const start = (sipPort = 0): Promise<TestGateway> =>
  startGateway({
    dataDir,
    runBy: CONTAINER,
    env: {
      PATCHBAY_MEDIA_HOSTS: '1',
      PATCHBAY_SIP_PORT: String(sipPort),
      // A drachtio-server answers the BYE of a call from before with 481.
      PATCHBAY_DRACHTIO: '',
      PATCHBAY_FREESWITCH: '',
    },
  });

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-container-'));
  // As a container of its own runs it.
  const env = { ...process.env, PATCHBAY_DATA_DIR: dataDir };
  host = spawn(process.execPath, ['dist/media-host.js'], { env, stdio: 'inherit' });
  const folder = join(dataDir, 'media-hosts');
  const listens = (): boolean =>
    existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.sock'));
  await until('the media host', listens, { withinMs: 20_000 });
  gateway = await start();
});
afterEach(async () => {
  // unshare passes no signals on.
  await gateway.kill();
  const ended = once(host, 'exit');
  host.kill('SIGTERM');
  await ended;
  rmSync(dataDir, { recursive: true });
});

describe('a media host in a container of its own', () => {
  it('serves the gateway of another, and the next one after that is killed with all its processes', async () => {
    const session = await new Rest(gateway).session();
    const call = async (tone: number): Promise<SippCall> => {
      const { token } = await new Rest(gateway).member(session);
      return placeCall({ sipPort: gateway.sipPort, token, tone });
    };
    const calls = [await call(ONE), await call(OTHER)] as const;
    await calls[0].tones.hears(OTHER);
    const ready = gateway.log.filter(({ msg }) => msg === 'Media host ready.');
    expect(ready, 'no further host is started').toHaveLength(1);
    expect(ready[0], 'a process id of the other container').not.toHaveProperty('hostPid');
    const breaks = calls.map(({ tones }) => tones.breaks);
    await gateway.kill();
    gateway = await start(gateway.sipPort);
    await gateway.waitForLog(({ msg }) => msg === 'Call goes on.');
    expect(calls.map(({ tones }) => tones.breaks)).toEqual(breaks);
    await Promise.all(calls.map((phone) => phone.hangUp()));
    await Promise.all(calls.map((phone) => phone.end()));
  });
});
