import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import type { ClientPage } from '../support/chromium.js';
import { readMetrics } from '../support/metrics.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

/** More than the WebRTC library keeps of a channel that nobody reads. */
const MANY = 1_100;
/** As many a second as a page may send. */
const ALLOWED = 90;

const stage = useStage({ env: TWO_ACCOUNTS });
let bystander: Bystander;
beforeAll(async () => {
  bystander = await Bystander.start(stage.gateway, 180);
}, 30_000);
afterAll(() => bystander.end());

interface Guest {
  readonly id: string;
  readonly page: ClientPage;
}

async function publisher(): Promise<Guest> {
  const { id, token } = await stage.rest.member(await stage.rest.session());
  const page = await stage.chrome.openClient({ token, gatewayUrl: stage.gateway.wsUrl });
  await page.publishTone(440);
  await until(
    'a path',
    async () =>
      (await page.peers()).some(
        ({ role, connectionState }) => role === 'publish' && connectionState === 'connected',
      ),
    { withinMs: 20_000 },
  );
  return { id, page };
}

const browsers = async (): Promise<number> =>
  (await readMetrics(stage.gateway)).get('patchbay_devices{kind="browser"}')!;
const noBrowsers = (): Promise<unknown> =>
  until('no browser left', async () => (await browsers()) === 0, { withinMs: 30_000 });

describe('a page that floods a data channel with a phone of another account beside it', () => {
  it('is closed when it sends too many messages on a channel of its client', async () => {
    const abuse = 'patchbay_browser_refusals_total{reason="abuse"}';
    const before = (await readMetrics(stage.gateway)).get(abuse)!;
    const { packetsLost } = await bystander.during(async () => {
      // As many as a small machine has cores: each used to block a thread of the library.
      const guests = await Promise.all([publisher(), publisher()]);
      const flood = { channel: 'diagnostics', messages: MANY } as const;
      await Promise.all(guests.map(({ page }) => page.floodChannel(flood)));
      await until(
        'two pages closed',
        async () => (await readMetrics(stage.gateway)).get(abuse)! >= before + 2,
        { withinMs: 20_000 },
      );
      await stage.chrome.closePages();
      await noBrowsers();
    });
    // If the threads of the library were blocked, all sound would stop for good.
    expect(packetsLost).toBeLessThan(100);
    await bystander.stillHears();
  }, 60_000);

  it('has its own channels closed at once, and can be deleted like others', async () => {
    const { packetsLost } = await bystander.during(async () => {
      const guests = await Promise.all([publisher(), publisher()]);
      await Promise.all(guests.map(({ page }) => page.floodChannel({ channel: 'own', messages: MANY })));
      await until(
        'their channels closed',
        async () => (await Promise.all(guests.map(({ page }) => page.openChannels()))).join() === '2,2',
        { withinMs: 20_000 },
      );
      await Promise.all(guests.map(({ id }) => stage.rest.deleteParticipant(id)));
      await noBrowsers();
    });
    expect(packetsLost).toBeLessThan(100);
    await bystander.stillHears();
  }, 60_000);

  it('can flood at the permitted rate, and still be deleted, leave, lose its socket, or be closed by a stop', async () => {
    const { packetsLost } = await bystander.during(async () => {
      const [deleted, leaving, lost, staying] = [
        await publisher(),
        await publisher(),
        await publisher(),
        await publisher(),
      ];
      const flood = { channel: 'diagnostics', messages: MANY, perSecond: ALLOWED } as const;
      const guests = [deleted, leaving, lost, staying];
      expect(await Promise.all(guests.map(({ page }) => page.floodChannel(flood)))).toEqual(
        guests.map(() => MANY),
      );
      expect(await browsers()).toBe(4);
      await stage.rest.deleteParticipant(deleted.id);
      await leaving.page.disconnect();
      // As when a tab is closed: its socket and paths end without a message.
      await lost.page.close();
      await until('one browser left', async () => (await browsers()) === 1, { withinMs: 30_000 });
    });
    expect(packetsLost).toBeLessThan(100);
    await bystander.stillHears();
    expect(await stage.gateway.stop()).toBe(0);
  }, 60_000);
});
