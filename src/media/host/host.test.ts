import { mkdir, readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { HostFolder } from './folder.js';
import { type HostLink, HostRefusal } from './link.js';
import type { DeviceEvent } from './messages.js';
import { useHosts } from './testing/host-stage.js';
import { PublishedTrack } from '../track.js';

const { start: startHost, folder: dataFolder } = useHosts();

/** Collects what a host says about its devices. */
function listen(link: HostLink): { events: [string, DeviceEvent][]; isLost: () => boolean } {
  const events: [string, DeviceEvent][] = [];
  link.handle({
    onAudio: ({ deviceId, ...audio }) => events.push([deviceId, { type: 'audio', ...audio }]),
    onEvent: (deviceId, event) => events.push([deviceId, event]),
    onPlaneEvent: () => undefined,
    onLost: () => undefined,
  });
  return { events, isLost: () => link.isLost };
}

const openPhone = (link: HostLink, deviceId = 'phone') =>
  link.request('open', { spec: { kind: 'phone', deviceId, sessionId: 'room', sdpOffer: 'offer' } });

const digit = (of: string): DeviceEvent => ({ type: 'dtmf', digit: of, durationMs: 100 });

describe('a media host', () => {
  it('does for a gateway what its plane can do, and passes on errors with their codes', async () => {
    const { plane, greet } = await startHost();
    const link = await greet(1);
    const { events } = listen(link);
    expect(await openPhone(link)).toMatchObject({ description: { sdp: 'answer-1', held: false } });
    await link.request('setDelivery', { deviceId: 'phone', delivery: [{ streamId: 's', kinds: ['audio'] }] });
    expect(plane.deliveries('phone')).toEqual([[{ streamId: 's', kinds: ['audio'] }]]);
    plane.emit('phone', digit('5'));
    await vi.waitFor(() => expect(events).toContainEqual(['phone', digit('5')]));
    await expect(
      link.request('publish', { deviceId: 'phone', options: { sdpOffer: 'x', allowedKinds: [] } }),
    ).rejects.toMatchObject({ code: 'UNKNOWN_DEVICE' });
    await expect(link.request('resume', { deviceId: 'nobody' })).rejects.toMatchObject({
      code: 'UNKNOWN_DEVICE',
    });
    await link.request('close', { deviceId: 'phone' });
    expect(plane.closed).toEqual(['phone']);
  });

  it('carries its devices to the next gateway, with what happened in between', async () => {
    const { plane, greet } = await startHost();
    const first = await greet(1);
    listen(first);
    await openPhone(first);
    first.keep('phone', 'who it is');
    first.keep('another', 'that the host does not know');
    plane.emit('phone', { type: 'state', state: 'numbers and keys' });
    first.watchLevels('phone', true);
    await vi.waitFor(() => expect([...plane.watched]).toEqual(['phone']));
    first.destroy();
    await vi.waitFor(() => expect(first.isLost).toBe(true));
    // The host has noticed as soon as it keeps what its devices say.
    const second = await vi.waitFor(async () => greet(2));
    second.destroy();
    await vi.waitFor(() => expect(second.isLost).toBe(true));
    // Nobody is told of levels, and the next gateway asks for them if it wants.
    expect([...plane.watched]).toEqual([]);
    plane.emit('phone', { type: 'levels', levels: [] });
    for (const of of '12') plane.emit('phone', digit(of));
    plane.emit('phone', { type: 'mediaLost', cause: 'timeout' });
    const third = await greet(3);
    expect(third.carried).toMatchObject([
      {
        kind: 'phone',
        deviceId: 'phone',
        sessionId: 'room',
        note: 'who it is',
        state: 'numbers and keys',
        streams: [{ streamId: 'stream-phone', kinds: ['audio'], codecs: ['PCMU'] }],
      },
    ]);
    const { events } = listen(third);
    await vi.waitFor(() => expect(events).toHaveLength(3));
    expect(events).toEqual([
      ['phone', { type: 'mediaLost', cause: 'timeout' }],
      ['phone', digit('1')],
      ['phone', digit('2')],
    ]);
    expect(plane.closed).toEqual([]);
  });

  it('serves the gateway of the highest epoch, and cuts off an older one', async () => {
    const { greet } = await startHost();
    const older = await greet(5);
    listen(older);
    const newer = await greet(6);
    await vi.waitFor(() => expect(older.isLost).toBe(true));
    expect(older.isSuperseded).toBe(true);
    await expect(greet(6)).rejects.toThrow(HostRefusal);
    await expect(greet(4)).rejects.toMatchObject({ reason: 'epoch' });
    expect(newer.isLost).toBe(false);
  });

  it('refuses whoever does not know the secret, and survives garbage', async () => {
    const { folder, id, greet } = await startHost();
    await expect(greet(1, { secret: 'guessed' })).rejects.toMatchObject({ reason: 'secret' });
    for (const garbage of [Buffer.from([255, 255, 255, 255]), Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])]) {
      const stranger = connect(folder.socketOf(id));
      stranger.on('error', () => undefined);
      stranger.write(garbage);
      await new Promise((resolve) => stranger.once('close', resolve));
    }
    expect((await greet(1)).isRetired).toBe(false);
    expect((await stat(folder.socketOf(id))).mode & 0o777).toBe(0o600);
  });

  it('takes no new devices for a gateway of another version', async () => {
    const { greet } = await startHost();
    await openPhone(await greet(1));
    const link = await greet(2, { version: '1.1.0' });
    expect(link.isRetired).toBe(true);
    expect(link.carried).toHaveLength(1);
  });

  it('ends when no gateway comes in time, and leaves no socket', async () => {
    const { folder, id, plane, greet, ended } = await startHost();
    const link = await greet(1, { handoverMs: 50 });
    listen(link);
    await openPhone(link);
    link.destroy();
    await ended;
    expect(plane.isStopped).toBe(true);
    expect(await folder.ids()).toEqual([]);
    expect(await readFile(folder.logOf(id), 'utf8')).toContain('No gateway came in time');
  });

  it('listens on a short path when that of the data folder is too long for a socket', async () => {
    const deep = join(dataFolder(), 'a'.repeat(60), 'b'.repeat(60));
    await mkdir(deep, { recursive: true });
    const { folder, id, greet } = await startHost({ folder: deep });
    expect(Buffer.byteLength(folder.socketOf(id))).toBeLessThan(108);
    expect((await greet(1)).pid).toBe(process.pid);
    expect((await HostFolder.open(deep)).socketOf(id)).toBe(folder.socketOf(id));
  });

  it("passes a program's audio both ways, among its marks, and keeps marks while no gateway is there", async () => {
    const { plane, greet } = await startHost();
    const link = await greet(1);
    const { events } = listen(link);
    const program = { kind: 'program', deviceId: 'bot', rate: 8000, channels: 'mix', queueMs: 500 } as const;
    expect(await link.request('open', { spec: program })).toMatchObject({
      stream: { streamId: 'stream-bot' },
    });
    const pcm = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i & 0xff));
    expect(link.play('bot', pcm)).toBe(true);
    link.mark('bot', 'end');
    link.play('nobody', pcm);
    link.clear('bot');
    await vi.waitFor(() =>
      expect(plane.programs.told).toEqual([
        ['bot', pcm],
        ['bot', 'mark end'],
        ['bot', 'clear'],
      ]),
    );
    plane.emit('bot', { type: 'audio', pcm });
    plane.emit('bot', { type: 'audio', streamId: 'phone', pcm: pcm.subarray(0, 320) });
    await vi.waitFor(() =>
      expect(events).toEqual([
        ['bot', { type: 'audio', pcm }],
        ['bot', { type: 'audio', streamId: 'phone', pcm: pcm.subarray(0, 320) }],
      ]),
    );
    link.destroy();
    await vi.waitFor(() => expect(link.isLost).toBe(true));
    // The host has noticed as soon as it keeps what its devices say.
    (await vi.waitFor(() => greet(2))).destroy();
    let epoch = 2;
    await vi.waitFor(async () => {
      plane.emit('bot', { type: 'played', mark: 'end' });
      plane.emit('bot', { type: 'audio', pcm });
      const next = await greet((epoch += 1));
      expect(next.carried).toMatchObject([
        { kind: 'program', deviceId: 'bot', program: { rate: 8000, channels: 'mix', queueMs: 500 } },
      ]);
      const later = listen(next);
      next.destroy();
      await vi.waitFor(() => expect(next.isLost).toBe(true));
      expect(later.events).toContainEqual(['bot', { type: 'played', mark: 'end' }]);
      expect(later.events.filter(([, { type }]) => type === 'audio')).toEqual([]);
    });
  });

  it('closes a file when another gateway comes, which does not carry it on', async () => {
    const { plane, greet } = await startHost();
    const link = await greet(1);
    const spec = {
      kind: 'file',
      deviceId: 'prompt',
      path: '/prompt',
      rate: 8000,
      listenerId: 'phone',
      times: 1,
      volume: 1,
    } as const;
    await link.request('open', { spec });
    const next = await greet(2);
    expect(next.carried).toEqual([]);
    await vi.waitFor(() => expect(plane.closed).toEqual(['prompt']));
  });

  it('keeps its pipes with hosts of other gateways over a change of its own gateway, and ends them with it', async () => {
    const [near, far] = [await startHost(), await startHost()];
    const pipeHost = '127.0.0.1';
    const [nearLink, farLink] = [await near.greet(1, { pipeHost }), await far.greet(1, { pipeHost })];
    const key = Buffer.alloc(32, 7).toString('base64');
    const sends = { remote: 'b/far', sends: { key, streamIds: ['s'] } };
    const receives = { remote: 'a/near', receives: { key, host: pipeHost, port: nearLink.pipePort! } };
    await nearLink.request('cross', { crossings: [sends], isAll: true });
    await farLink.request('cross', { crossings: [receives], isAll: true });
    const codec = { name: 'PCMU', clockRate: 8000, channels: 1 };
    const track = new PublishedTrack({ kind: 'audio', streamId: 's', codec });
    near.streams.replaceLocal([], [{ streamId: 's', tracks: [track] }]);
    await vi.waitUntil(() => far.streams.get('s'), { timeout: 10_000 });

    // The gateways are exchanged, and say the same again.
    const [nextNear, nextFar] = [await near.greet(2, { pipeHost }), await far.greet(2, { pipeHost })];
    expect(nextNear.pipePort).toBe(nearLink.pipePort);
    await nextFar.request('cross', { crossings: [receives], isAll: true });
    await nextNear.request('cross', { crossings: [sends], isAll: true });
    await vi.waitUntil(() => nextFar.crossings.connected === 1, { timeout: 10_000 });
    expect(nextFar.crossings).toMatchObject({ connections: 1 });
    expect(nextFar.isRetired).toBe(false);

    // The next one knows no others.
    expect((await near.greet(3)).pipePort).toBeUndefined();
    await vi.waitUntil(() => far.streams.get('s') === undefined, { timeout: 10_000 });
  });
});
