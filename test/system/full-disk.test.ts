import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { readMetrics } from '../support/metrics.js';
import { Rest } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';
import { onDisk, SmallDisk, withoutSmallDisk } from '../support/small-disk.js';
import { until } from '../support/until.js';

const missing = withoutSmallDisk();
const readiness = async (gateway: TestGateway): Promise<number> =>
  (await fetch(`${gateway.httpUrl}/readyz`)).status;
const STORE_LINES = /the store can/;

describe.skipIf(missing !== undefined)(
  `a full disk under a running gateway${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-full-'));
    const copy = mkdtempSync(join(tmpdir(), 'patchbay-full-copy-'));
    let gateway: TestGateway;
    let rest: Rest;
    let disk: SmallDisk;
    let bystander: Bystander;

    beforeAll(async () => {
      const runBy = onDisk(folder, 'size=3m,mode=0700');
      gateway = await startGateway({ dataDir: folder, runBy, env: TWO_ACCOUNTS });
      rest = new Rest(gateway);
      disk = new SmallDisk(gateway.pid, folder);
      bystander = await Bystander.start(gateway);
    });

    afterAll(async () => {
      await bystander.end();
      await gateway.stop();
      for (const made of [folder, copy]) rmSync(made, { recursive: true });
    });

    const listed = async (): Promise<string[]> => {
      const { items } = (await rest.request('GET', '/participants?limit=1000')) as {
        items: { id: string }[];
      };
      return items.map(({ id }) => id);
    };

    it('causes refused changes, but no half ones, calls that go on, and no lost data', async () => {
      const session = await rest.session();
      const [old, caller] = [await rest.member(session), await rest.member(session)];
      const before = await listed();
      const created: string[] = [];

      disk.fill();
      // Changes in flight when the disk became full: they were made, are shown, and the answer says so.
      const lastOne = async (): Promise<string | undefined> => {
        try {
          created.push((await rest.participant({ tag: 'x'.repeat(50) })).id);
          return undefined;
        } catch (error) {
          return String(error);
        }
      };
      expect(await until('a failed commit', lastOne, { withinMs: 30_000, everyMs: 0 })).toMatch(
        /: 503 .*"PATCHBAY_STORE_FAILED"/,
      );
      expect(await readiness(gateway)).toBe(503);
      const shown = await listed();
      expect(shown).toHaveLength(before.length + created.length + 1);

      // From here on changes are refused before they are made.
      const refused = /: 503 .*"PATCHBAY_STORE_UNAVAILABLE"/;
      await expect(rest.participant()).rejects.toThrow(refused);
      await expect(rest.session()).rejects.toThrow(refused);
      await expect(rest.deleteParticipant(old.id)).rejects.toThrow(refused);
      await expect(rest.deleteSession(session)).rejects.toThrow(refused);
      await expect(rest.leave(session, old.id)).rejects.toThrow(refused);
      await expect(rest.subscribe(session, old.id, {})).rejects.toThrow(refused);
      await expect(rest.request('GET', '/usage')).rejects.toThrow(refused);
      expect(await listed()).toEqual(shown);
      expect(await rest.request('GET', `/sessions/${session}/participants/${old.id}/subscriptions`)).toEqual({
        sessionId: session,
      });
      expect((await readMetrics(gateway)).get('patchbay_store_writable')).toBe(0);

      // Phones are not affected, nor are new ones.
      const call = await placeCall({ sipPort: gateway.sipPort, token: caller.token });
      expect((await call.final()).status).toBe(200);
      await bystander.stillHears();
      await call.hangUp();
      await call.end();

      disk.free();
      await until('the store to write again', async () => (await readiness(gateway)) === 200, {
        withinMs: 20_000,
      });
      await rest.deleteParticipant(old.id);
      const items = ((await rest.request('GET', '/usage')) as { items: { participantId: string }[] }).items;
      expect(items).toMatchObject([{ participantId: caller.id, endReason: 'left' }]);
      expect((await readMetrics(gateway)).get('patchbay_store_writable')).toBe(1);
      const lines = gateway.log.map(({ msg }) => msg ?? '').filter((msg) => STORE_LINES.test(msg));
      expect(lines).toEqual([
        expect.stringContaining('the store cannot write'),
        expect.stringContaining('the store can write again'),
      ]);
      await bystander.stillHears();

      // The disk has what was shown.
      const shownAfter = await listed();
      expect(shownAfter).toEqual(shown.filter((id) => id !== old.id));
      // But for the sockets of its media hosts.
      cpSync(disk.folder, copy, { recursive: true, filter: (path) => basename(path) !== 'media-hosts' });
      const successor = await startGateway({ dataDir: copy });
      const kept = (await new Rest(successor).request('GET', '/participants?limit=1000')) as {
        items: { id: string }[];
      };
      expect(kept.items.map(({ id }) => id)).toEqual(shownAfter);
      await successor.stop();
    });
  },
);
