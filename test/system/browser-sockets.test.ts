import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CLIENT_VERSIONS, type ClientPage, type ClientVersion } from '../support/chromium.js';
import { type Member, openMember } from '../support/member.js';
import { SocketProxy } from '../support/socket-proxy.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

const stage = useStage();
let proxy: SocketProxy;

beforeEach(async () => {
  proxy = await SocketProxy.start(stage.gateway.wsUrl);
});
afterEach(() => proxy.stop());

describe.each(CLIENT_VERSIONS)('the sockets of browsers, client %s', (client: ClientVersion) => {
  /** A page of a new member; through the proxy if its socket will be cut. */
  function join(session: string, gatewayUrl = stage.gateway.wsUrl): Promise<Member> {
    const { gateway, chrome } = stage;
    return openMember({ gateway, chrome, gatewayUrl }, session, client);
  }

  /** Audio packets of a stream that a page has received so far, and how many of its samples were made up. */
  async function audio(page: ClientPage, streamId: string): Promise<{ packets: number; concealed: number }> {
    const counters = (await page.counters(streamId)).audio!;
    return { packets: counters.packetsReceived, concealed: counters.concealedSamples };
  }

  const reconnected = (connections: number): Promise<true> =>
    until('a new socket', () => proxy.connections > connections, { withinMs: 20_000 });

  it.each([1006, 1011])(
    'loses no media when the socket closes with %i, and follows later changes',
    async (code) => {
      const session = await stage.rest.session();
      const dropped = await join(session, proxy.url);
      const steady = await join(session);
      await dropped.page.publishTone(440);
      await steady.page.publishTone(880);
      await Promise.all([dropped.page.hears(880), steady.page.hears(440)]);
      const [own] = await steady.page.streams();
      const [other] = await dropped.page.streams();
      const before = await audio(dropped.page, other!.streamId);
      const device = (await stage.rest.device(dropped.who.id)).id;

      const { connections } = proxy;
      if (code === 1006) proxy.cut();
      else proxy.closeClients(code);
      // While the socket is away something else is published, and something more after it is back.
      await steady.page.publishTone(1_300, { alias: 'meanwhile' });
      await reconnected(connections);
      await dropped.page.hears(1_300, { alias: 'meanwhile' });
      await steady.page.publishTone(1_700, { alias: 'after' });
      await dropped.page.hears(1_700, { alias: 'after' });
      await dropped.page.publishTone(2_100, { alias: 'mine' });
      await steady.page.hears(2_100, { alias: 'mine' });

      expect((await stage.rest.device(dropped.who.id)).id).toBe(device);
      expect((await steady.page.streams()).map(({ streamId }) => streamId)).toContain(own!.streamId);
      const after = await audio(dropped.page, other!.streamId);
      expect(after.packets).toBeGreaterThan(before.packets);
      // The socket was lost for a second (48,000 samples): if media had been lost too, the gap would show.
      expect(after.concealed - before.concealed).toBeLessThan(24_000);
      const lost = (await dropped.page.events()).filter(({ type }) => type === 'unavailable');
      expect(lost).toEqual([]);
    },
  );

  it('lets the page repeat an offer that was lost with the socket', async () => {
    const session = await stage.rest.session();
    const dropped = await join(session, proxy.url);
    const steady = await join(session);
    const { connections } = proxy;
    proxy.refuse(true);
    proxy.cut();
    await steady.page.publishTone(500);
    proxy.refuse(false);
    await reconnected(connections);
    await dropped.page.hears(500);
  });

  it('accepts offers after one of its answers was lost with the socket', async () => {
    const session = await stage.rest.session();
    const dropped = await join(session, proxy.url);
    const steady = await join(session);
    proxy.cutAtCall('answerSdp');
    await steady.page.publishTone(500);
    await dropped.page.hears(500);
  });

  it.each([
    ['kicked', (id: string) => stage.rest.disconnectDevice(id)],
    ['deleted', (id: string) => stage.rest.deleteParticipant(id)],
  ])('closes with 1000 when the participant is %s, and the page stays away', async (_, end) => {
    const session = await stage.rest.session();
    const gone = await join(session, proxy.url);
    const steady = await join(session);
    await gone.page.publishTone(440);
    await steady.page.hears(440);
    const { connections } = proxy;
    await end(gone.who.id);
    await steady.page.loses();
    await until(
      'close 1000',
      () => gone.page.console.some((line) => line.includes('Websocket closed: 1000')),
      {
        withinMs: 20_000,
      },
    );
    // The client tries again after one second, if at all.
    await expect(
      until('a new socket', () => proxy.connections > connections, { withinMs: 1_500 }),
    ).rejects.toThrow('not within');
  });

  it('closes with 1000 for a bad token', async () => {
    const page = await stage.chrome.openPage({ client });
    const good = (await stage.rest.participant()).token;
    const [header, payload] = good.split('.');
    page.startConnecting({ token: `${header!}.${payload!}.AAAA`, gatewayUrl: proxy.url });
    await until('close 1000', () => page.console.some((line) => line.includes('Websocket closed: 1000')), {
      withinMs: 20_000,
    });
    expect(proxy.connections).toBe(1);
  });

  it('lets the newest page of a participant win', async () => {
    const session = await stage.rest.session();
    const steady = await join(session);
    const older = await join(session, proxy.url);
    await older.page.publishTone(440);
    await steady.page.hears(440);
    const { token } = older.who;
    const newer = await stage.chrome.openClient({ client, gatewayUrl: stage.gateway.wsUrl, token });
    await steady.page.loses({ participantId: older.who.id });
    await newer.publishTone(770);
    await steady.page.hears(770, { participantId: older.who.id });
    expect(older.page.console.some((line) => line.includes('Websocket closed: 1000'))).toBe(true);
  });

  it('frees everything when a page disconnects, and when its tab is closed', async () => {
    const session = await stage.rest.session();
    const steady = await join(session);
    for (const leave of [(page: ClientPage) => page.disconnect(), (page: ClientPage) => page.close()]) {
      const gone = await join(session);
      await gone.page.publishTone(440);
      await steady.page.hears(440, { participantId: gone.who.id });
      await leave(gone.page);
      await steady.page.loses({ participantId: gone.who.id, withinMs: 20_000 });
      await expect(stage.rest.device(gone.who.id)).rejects.toThrow('404');
    }
  });
});
