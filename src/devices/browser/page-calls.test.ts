import { describe, expect, it, vi } from 'vitest';
import { SILENT_PAGE_MS } from './page-calls.js';
import { useBrowserServer } from './testing/server-fixture.js';
import type { RawClient } from './testing/raw-client.js';

const stage = useBrowserServer();

const OFFER = { sdpOffer: 'offer', mediaMetadata: {} };
const LOST = { code: -32000, message: 'The connection was lost during the call.' };

describe('a page whose socket was cut', () => {
  /** The next socket of a page that has made its first call, and then `before`, when its socket was cut. */
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

  it('gets its last answers again, since they may have been lost', async () => {
    const client = await cut(async (first) => {
      await first.call('offerSdp', OFFER);
      await first.call('answerSdp', { sdpAnswer: 'answer' });
    });
    expect(await client.waitFor(({ id }) => id === 2)).toMatchObject({
      result: { sdpAnswer: 'answer to offer' },
    });
    expect(await client.waitFor(({ id }) => id === 3)).toMatchObject({ result: {} });
  });

  it('gets the answer to a call of its old socket on the new one', async () => {
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

  it('gets an answer to a call that it makes at once on the new socket', async () => {
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

  it('gets errors for the calls whose ids are missing before its next call, and for no others', async () => {
    const client = await cut();
    ask(client, 4, 'ping');
    await client.waitFor(({ id }) => id === 4);
    expect(client.frames).toMatchObject([
      { id: 2, error: LOST },
      { id: 3, error: LOST },
      { id: 4, result: {} },
    ]);
  });

  it('gets errors for its next ids when it is silent, since it may be waiting for them', async () => {
    const client = await cut();
    await vi.waitFor(() => expect(stage.fixture.media.browsers.resumed).toHaveLength(1));
    stage.fixture.clock.advance(SILENT_PAGE_MS);
    await client.waitFor(({ id }) => id === 3);
    expect(client.frames).toMatchObject([2, 3].map((id) => ({ id, error: LOST })));
  });

  /** The next socket of a page after a restart of the gateway, which had received the calls up to id 3. */
  async function restarted(): Promise<RawClient> {
    const { open, ready } = await page();
    const first = await ready();
    for (const id of [2, 3]) ask(first, id, 'ping');
    await first.waitFor(({ id }) => id === 3);
    await stage.fixture.restart();
    await first.closed;
    return open();
  }

  it('gets errors for its next ids when it is silent after a restart, since the old gateway may have received them', async () => {
    const client = await restarted();
    await vi.waitFor(() => expect(stage.fixture.media.specs).toHaveLength(2));
    stage.fixture.clock.advance(SILENT_PAGE_MS);
    await client.waitFor(({ id }) => id === 5);
    for (const id of [4, 5]) expect(answersTo(client, id)).toMatchObject([{ error: LOST }]);
  });

  it('gets an error after a restart for a call that the old gateway had not answered', async () => {
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

  it('gets answers to calls that it makes at once after a restart', async () => {
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

  it('gets errors after a restart for calls that it made to the old gateway', async () => {
    const { open } = await page();
    const client = await open();
    ask(client, 70, 'ping');
    await client.waitFor(({ id }) => id === 70);
    expect(client.frames.map(({ id }) => id)).toEqual([68, 69, 70]);
  });

  it('gets the last answer instead of an error for lost calls after it was away, since its client gives up after an error', async () => {
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
    // Later calls get their own answers.
    ask(again, 4, 'offerSdp', { ...OFFER, sdpOffer: 'another' });
    const answered = await again.waitFor(
      ({ id, result }) => id === 4 && JSON.stringify(result).includes('another'),
    );
    expect(answered).toMatchObject({ result: { sdpAnswer: 'answer to another' } });
  });

  it('causes no endless work by the ids that it chooses', async () => {
    const { open } = await page();
    const client = await open();
    for (const id of [Number.MAX_SAFE_INTEGER, -5, 1.5, 2 ** 31]) ask(client, id, 'ping');
    await client.waitFor(({ id }) => id === 2 ** 31);
    expect(client.frames.length).toBeLessThan(10);
  });
});
