import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { leftHosts, processesLeft, startGateway, type TestGateway } from '../support/gateway.js';
import { isEmbedded } from '../support/phone-room.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const [ONE, OTHER, LATER] = [440, 700, 1_100];

let dataDir: string;
let release: string;
let gateway: TestGateway;

/** The next release of this program, in a folder of its own. */
function nextRelease(): string {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-release-'));
  cpSync('dist', join(folder, 'dist'), { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  const about = JSON.parse(readFileSync('package.json', 'utf8')) as object;
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...about, version: '99.0.0' }));
  return folder;
}

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-versions-'));
  release = nextRelease();
  gateway = await startGateway({ dataDir, env: { PATCHBAY_MEDIA_HOSTS: '1' } });
});
afterEach(async () => {
  await gateway.stop();
  for (const folder of [dataDir, release]) rmSync(folder, { recursive: true });
});

describe('an upgrade under load', () => {
  it('leaves calls where they are to their end, and takes new ones to a media host of its own', async () => {
    onTestFailed(() => console.error(gateway.log.map((line) => JSON.stringify(line)).join('\n')));
    const session = await new Rest(gateway).session();
    const ids = new Map<SippCall, string>();
    const call = async (tone: number): Promise<SippCall> => {
      const { id, token } = await new Rest(gateway).member(session);
      const placed = await placeCall({ sipPort: gateway.sipPort, token, tone });
      ids.set(placed, id);
      return placed;
    };
    // drachtio-server answers the BYE of a phone whose call is from before with 481.
    const hangUp = (phone: SippCall): Promise<void> =>
      isEmbedded ? phone.hangUp() : new Rest(gateway).disconnectDevice(ids.get(phone)!);
    const old = [await call(ONE), await call(OTHER)] as const;
    await old[0].tones.hears(OTHER);
    await old[1].tones.hears(ONE);
    const [oldHost] = leftHosts(dataDir);
    const breaks = old.map(({ tones }) => tones.breaks);
    await gateway.exchange();
    gateway = await startGateway({
      dataDir,
      program: join(release, 'dist/main.js'),
      env: { PATCHBAY_MEDIA_HOSTS: '1', PATCHBAY_SIP_PORT: String(gateway.sipPort) },
    });
    const ready = gateway.log.filter(({ msg }) => msg === 'Media host ready.');
    expect(ready).toMatchObject([
      { hostPid: oldHost, isRetired: true, devices: 2 },
      { isRetired: false, devices: 0 },
    ]);
    expect(processesLeft().sort(), 'what would be left by this file').toEqual(
      [gateway.pid, ...leftHosts(dataDir)].sort(),
    );
    const later = await call(LATER);
    // Its session is on the old host, and it is not.
    await later.tones.hears(ONE);
    await old[1].tones.hears(LATER);
    expect(
      old.map(({ tones }) => tones.breaks),
      'breaks of the calls from before',
    ).toEqual(breaks);
    const laterBreaks = later.tones.breaks;
    await hangUp(old[0]);
    expect(leftHosts(dataDir), 'the old host still has a call').toContain(oldHost);
    await hangUp(old[1]);
    await until('the end of the old host', () => !leftHosts(dataDir).includes(oldHost!), {
      withinMs: 20_000,
    });
    expect(leftHosts(dataDir)).toEqual([ready[1]!['hostPid']]);
    await later.tones.stopsHearing(ONE);
    expect(later.tones.breaks).toBe(laterBreaks);
    await later.hangUp();
    for (const phone of [...old, later]) await phone.end();
  });
});
