import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { useBrowserServer } from './testing/server-fixture.js';
import { RawClient } from './testing/raw-client.js';

const stage = useBrowserServer();

describe('the limits of browsers', () => {
  it('accept a message of 1 MiB, and close with 1009 for a longer one', async () => {
    await stage.start();
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    const frame = (bytes: number): string => {
      const [head, tail] = ['{"jsonrpc":"2.0","id":"big","method":"ping","params":{"x":"', '"}}'];
      return head + 'x'.repeat(bytes - head.length - tail.length) + tail;
    };
    client.send(frame(1024 * 1024));
    expect(await client.waitFor(({ id }) => id === 'big')).toMatchObject({ result: {} });
    client.send(frame(1024 * 1024 + 1));
    expect((await client.closed).code).toBe(1009);
    expect(stage.fixture.browsers.counters().abusiveSockets).toBe(1);
  });

  it('answer invalid JSON-RPC with errors, and close with 1008 when it goes on', async () => {
    await stage.start({ limits: { invalidMessages: 3 } });
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    client.send('{');
    expect(await client.waitFor(({ error }) => error !== undefined)).toMatchObject({
      id: null,
      error: { code: -32700 },
    });
    for (const frame of ['[]', '17', '{"jsonrpc":"1.0"}']) client.send(frame);
    expect((await client.closed).code).toBe(1008);
  });

  it('answer wrong parameters and unknown methods with errors', async () => {
    await stage.start();
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    expect(await client.call('offerSdp', { sdpOffer: 5 })).toMatchObject({ error: { code: -32602 } });
    expect(await client.call('offerSdp', null)).toMatchObject({ error: { code: -32602 } });
    expect(await client.call('answerSdp', [])).toMatchObject({ error: { code: -32602 } });
    expect(await client.call('dropTables')).toMatchObject({ error: { code: -32601 } });
  });

  it('close a socket that floods, and no other', async () => {
    await stage.start({ limits: { messages: { burst: 20, perSecond: 1 } } });
    const quiet = await stage.fixture.ready(stage.fixture.participant().token, { uniqueId: 'quiet' });
    const loud = await stage.fixture.ready(stage.fixture.participant().token, { uniqueId: 'loud' });
    for (let i = 0; i < 100; i += 1) loud.notify('deviceDiagnostics', { logs: [] });
    expect((await loud.closed).code).toBe(1008);
    expect((await quiet.call('ping'))['result']).toEqual({});
  });

  it('cut a socket that does not read its answers', async () => {
    const plenty = { burst: 1e9, perSecond: 1e9 };
    await stage.start({ limits: { outgoingBytes: 65_536, messages: plenty, bytes: plenty } });
    const { browsers } = stage.fixture;
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    client.socket.pause();
    const id = 'x'.repeat(100);
    // The system buffers some megabytes before anything waits in the process.
    while (browsers.counters().abusiveSockets === 0 && client.socket.readyState === client.socket.OPEN) {
      for (let i = 0; i < 1000; i += 1) client.send({ jsonrpc: '2.0', id, method: 'ping', params: {} });
      await setImmediate();
    }
    expect(browsers.counters()).toMatchObject({ abusiveSockets: 1 });
    await vi.waitFor(() => expect(browsers.counters().sockets).toBe(0));
    client.socket.resume();
    expect((await client.closed).code).toBe(1006);
  });

  it('refuse more sockets than an address may have, until one is closed', async () => {
    await stage.start({ limits: { socketsPerAddress: 2 } });
    const { token } = stage.fixture.participant();
    const first = await stage.fixture.ready(token);
    await stage.fixture.ready(stage.fixture.participant().token, { uniqueId: 'second' });
    expect((await new RawClient(stage.fixture.url(token)).closed).code).toBe(1006);
    expect(stage.fixture.browsers.counters()).toMatchObject({ sockets: 2, refusedUpgrades: 1 });
    first.close();
    await vi.waitFor(() => expect(stage.fixture.browsers.counters().sockets).toBe(1));
    await stage.fixture.ready(token);
  });

  it('refuse too many new devices of one participant', async () => {
    await stage.start({ limits: { devices: { burst: 2, perSecond: 1 } } });
    const { token } = stage.fixture.participant();
    for (const uniqueId of ['a', 'b']) await stage.fixture.ready(token, { uniqueId });
    expect((await (await stage.fixture.open(token, { uniqueId: 'c' })).closed).code).toBe(1013);
  });

  it('close a socket that sends binary messages', async () => {
    await stage.start();
    const client = await stage.fixture.ready(stage.fixture.participant().token);
    client.socket.send(Buffer.from([1, 2, 3]));
    expect((await client.closed).code).toBe(1003);
    expect(stage.fixture.browsers.counters().abusiveSockets).toBe(1);
  });
});
