import { describe, expect, it, vi } from 'vitest';
import { SILENT_PAGE_MS } from './page-calls.js';
import { useGateway } from './testing/gateway-fixture.js';
import type { RawClient } from './testing/raw-client.js';

const stage = useGateway();

const OFFER = { sdpOffer: 'offer', mediaMetadata: {} };
const LOST = { code: -32000, message: 'The connection was lost during the call.' };

describe('a page whose socket was cut', () => {
  /** The next socket of a page that has made its first call, and `before` the cut whatever else. */
  async function cut(before?: (client: RawClient) => Promise<unknown>): Promise<RawClient> {
    const { open, ready } = await page();
    const first = await ready();
    await before?.(first);
    first.socket.terminate();
    return open();
  }

  async function page() {
    const fixture = await stage.start();
    const { token } = fixture.participant();
    return { open: () => fixture.open(token), ready: () => fixture.ready(token) };
  }

  const ask = (client: RawClient, id: number, method: string, params: object = {}): void => {
    client.send({ jsonrpc: '2.0', id, method, params });
  };

  const answersTo = (client: RawClient, id: number) => client.frames.filter((frame) => frame['id'] === id);

  it('is answered again what it was answered last, since that may have been lost', async () => {
    const client = await cut(async (first) => {
      await first.call('offerSdp', OFFER);
      await first.call('answerSdp', { sdpAnswer: 'answer' });
    });
    expect(await client.waitFor(({ id }) => id === 2)).toMatchObject({
      result: { sdpAnswer: 'answer to offer' },
    });
    expect(await client.waitFor(({ id }) => id === 3)).toMatchObject({ result: {} });
  });

  it('is answered on its new socket what it asked on the old one', async () => {
    const { open, ready } = await page();
    const { media } = stage.fixture;
    const first = await ready();
    let answer = (): void => undefined;
    media.browsers.held = new Promise((resolve) => (answer = resolve));
    ask(first, 2, 'offerSdp', OFFER);
    await vi.waitFor(() => expect(media.browsers.offers).toHaveLength(1));
    first.socket.terminate();
    const again = await open();
    await vi.waitFor(() => expect(media.browsers.resumed).toHaveLength(1));
    answer();
    expect(await again.waitFor(({ id }) => id === 2)).toMatchObject({
      result: { sdpAnswer: 'answer to offer' },
    });
  });

  it('keeps a call that it makes at once on the new socket', async () => {
    const client = await cut();
    ask(client, 2, 'offerSdp', OFFER);
    ask(client, 3, 'ping');
    await client.waitFor(({ id }) => id === 3);
    stage.fixture.clock.advance(2 * SILENT_PAGE_MS);
    ask(client, 4, 'ping');
    await client.waitFor(({ id }) => id === 4);
    expect(answersTo(client, 2)).toMatchObject([{ result: { sdpAnswer: 'answer to offer' } }]);
    expect(answersTo(client, 3)).toMatchObject([{ result: {} }]);
  });

  it('has the calls failed whose ids its next call shows to be missing, and no others', async () => {
    const client = await cut();
    ask(client, 4, 'ping');
    await client.waitFor(({ id }) => id === 4);
    expect(client.frames).toMatchObject([
      { id: 2, error: LOST },
      { id: 3, error: LOST },
      { id: 4, result: {} },
    ]);
  });

  it('has its next calls failed when it is silent: it may be waiting for them', async () => {
    const client = await cut();
    await vi.waitFor(() => expect(stage.fixture.media.browsers.resumed).toHaveLength(1));
    stage.fixture.clock.advance(SILENT_PAGE_MS);
    await client.waitFor(({ id }) => id === 3);
    expect(client.frames).toMatchObject([2, 3].map((id) => ({ id, error: LOST })));
  });

  /** A page that was served by a gateway that is no more, as far as its call 3, on its next socket. */
  async function restarted(): Promise<RawClient> {
    const { open, ready } = await page();
    const first = await ready();
    for (const id of [2, 3]) ask(first, id, 'ping');
    await first.waitFor(({ id }) => id === 3);
    await stage.fixture.restart();
    await first.closed;
    return open();
  }

  it('has its next calls failed when it is silent after a restart: the gateway before may have had them', async () => {
    const client = await restarted();
    await vi.waitFor(() => expect(stage.fixture.media.specs).toHaveLength(2));
    stage.fixture.clock.advance(SILENT_PAGE_MS);
    await client.waitFor(({ id }) => id === 5);
    for (const id of [4, 5]) expect(answersTo(client, id)).toMatchObject([{ error: LOST }]);
  });

  it('has a call failed after a restart that the gateway before was still busy with', async () => {
    const { open, ready } = await page();
    const first = await ready();
    stage.fixture.media.browsers.held = new Promise(() => undefined);
    ask(first, 2, 'offerSdp', OFFER);
    await vi.waitFor(() => expect(stage.fixture.media.browsers.offers).toHaveLength(1));
    await stage.fixture.restart();
    const client = await open();
    ask(client, 3, 'ping');
    await client.waitFor(({ id }) => id === 3);
    expect(client.frames).toMatchObject([
      { id: 2, error: LOST },
      { id: 3, result: {} },
    ]);
  });

  it('keeps calls that it makes at once after a restart', async () => {
    const client = await restarted();
    ask(client, 4, 'offerSdp', OFFER);
    ask(client, 5, 'ping');
    await client.waitFor(({ id }) => id === 5);
    stage.fixture.clock.advance(2 * SILENT_PAGE_MS);
    ask(client, 6, 'ping');
    await client.waitFor(({ id }) => id === 6);
    expect(answersTo(client, 4)).toMatchObject([{ result: { sdpAnswer: 'answer to offer' } }]);
    for (const id of [5, 6]) expect(answersTo(client, id)).toMatchObject([{ result: {} }]);
  });

  it('has calls failed that it made to a gateway that is no more', async () => {
    const { open } = await page();
    const client = await open();
    ask(client, 70, 'ping');
    await client.waitFor(({ id }) => id === 70);
    expect(client.frames.map(({ id }) => id)).toEqual([68, 69, 70]);
  });

  it('is answered as last when it was lost for a while: its client asks for another path no more once told of an error', async () => {
    const { open, ready } = await page();
    const left = vi.fn();
    stage.fixture.core.on('left', left);
    const first = await ready();
    await first.call('offerSdp', OFFER);
    first.socket.terminate();
    await vi.waitFor(async () => {
      stage.fixture.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
      expect(left).toHaveBeenCalledOnce();
    });
    const again = await open();
    stage.fixture.clock.advance(SILENT_PAGE_MS);
    const lost = await again.waitFor(({ id }) => id === 3);
    expect(lost).toMatchObject({ result: { sdpAnswer: 'answer to offer' } });
    // What it asks then is answered for itself.
    ask(again, 4, 'offerSdp', { ...OFFER, sdpOffer: 'another' });
    const answered = await again.waitFor(
      ({ id, result }) => id === 4 && JSON.stringify(result).includes('another'),
    );
    expect(answered).toMatchObject({ result: { sdpAnswer: 'answer to another' } });
  });

  it('makes no endless work with the ids it chooses', async () => {
    const { open } = await page();
    const client = await open();
    for (const id of [Number.MAX_SAFE_INTEGER, -5, 1.5, 2 ** 31]) ask(client, id, 'ping');
    await client.waitFor(({ id }) => id === 2 ** 31);
    expect(client.frames.length).toBeLessThan(10);
  });
});
