import { describe, expect, it, vi } from 'vitest';
import type { HostLink } from './link.js';
import type { DeviceEvent } from './messages.js';
import { RemoteDevice } from './remote-device.js';
import { phoneHandle, programHandle } from './remote-handles.js';
import { useHosts } from './testing/host-stage.js';

const stage = useHosts();

/** Two hosts, and a phone that is open on the first. */
async function phoneOnHost() {
  const hosts = [await stage.start(), await stage.start()] as const;
  const links = [await hosts[0].greet(1), await hosts[1].greet(1)] as const;
  const events: DeviceEvent[] = [];
  const failures: unknown[] = [];
  const owner = {
    changed: () => undefined,
    closed: () => undefined,
    notMoved: (_device: RemoteDevice, error: unknown) => void failures.push(error),
  };
  const spec = { kind: 'phone', deviceId: 'phone', sdpOffer: 'offer', metersSpeech: true } as const;
  const device = new RemoteDevice(spec, links[0], owner);
  const handlers = (link: HostLink): void =>
    link.handle({
      onAudio: () => undefined,
      onEvent: (_deviceId, event) => device.take(event),
      onPlaneEvent: () => undefined,
      onLost: () => undefined,
    });
  links.forEach(handlers);
  const handle = phoneHandle(
    device,
    device.open((event) => events.push(event)),
  );
  await handle.opened;
  const die = async (host: 0 | 1): Promise<void> => {
    await hosts[host].server.end();
    await vi.waitFor(() => expect(links[host].isLost).toBe(true));
  };
  return { hosts, links, owner, device, handle, events, failures, die };
}

describe('a device whose host died', () => {
  it('is opened on another one with what is known of it, the latest note and the latest delivery', async () => {
    const { hosts, links, owner, device, handle, events, failures, die } = await phoneOnHost();
    hosts[0].plane.emit('phone', { type: 'state', state: 'numbers and keys' });
    await vi.waitFor(() => expect(events).toHaveLength(1));
    await handle.keep('who it is');
    handle.watchLevels(true);
    await vi.waitFor(() => expect([...hosts[0].plane.watched]).toEqual(['phone']));
    await handle.setDelivery([{ streamId: 'before', kinds: ['audio'] }]);
    await die(0);
    let choose: (link: HostLink) => void = () => undefined;
    device.move(() => new Promise((resolve) => (choose = resolve)));
    // Requests made meanwhile wait, and the latest delivery counts.
    const digits = handle.sendDtmf({ digits: '1' });
    await handle.setDelivery([{ streamId: 'meanwhile', kinds: ['audio'] }]);
    choose(links[1]);
    await digits;
    const { plane } = hosts[1];
    expect(plane.specs).toMatchObject([
      { kind: 'phone', deviceId: 'phone', metersSpeech: true, restored: { state: 'numbers and keys' } },
    ]);
    expect(plane.specs[0]).not.toHaveProperty('sdpOffer');
    expect(plane.deliveries('phone').at(-1)).toEqual([{ streamId: 'meanwhile', kinds: ['audio'] }]);
    expect([...plane.watched]).toEqual(['phone']);
    expect(plane.phones.dtmf).toEqual([['phone', { digits: '1' }]]);
    expect(failures).toEqual([]);
    const next = await hosts[1].greet(2);
    expect(next.carried).toMatchObject([{ deviceId: 'phone', note: 'who it is', metersSpeech: true }]);
    const adopted = RemoteDevice.carried(next.carried[0]!, next, owner);
    expect(adopted.spec).toMatchObject({ deviceId: 'phone', metersSpeech: true });
    next.destroy();
  });

  it('goes to a third one when the second dies, too', async () => {
    const { hosts, links, device, events, failures, die } = await phoneOnHost();
    hosts[0].plane.emit('phone', { type: 'state', state: 'state' });
    await vi.waitFor(() => expect(events).toHaveLength(1));
    const third = await stage.start();
    const thirdLink = await third.greet(1);
    await die(0);
    await die(1);
    const choices = [links[1], thirdLink];
    device.move(() => Promise.resolve(choices.shift()!));
    await vi.waitFor(() => expect(third.plane.present).toEqual(['phone']));
    expect(failures).toEqual([]);
  });

  it('is lost when nothing is known of its media, and says why', async () => {
    const { links, device, events, failures, die } = await phoneOnHost();
    await die(0);
    device.move(() => Promise.resolve(links[1]));
    await vi.waitFor(() => expect(events).toContainEqual({ type: 'mediaLost', cause: 'transport' }));
    expect(failures).toHaveLength(1);
    expect(device.streams).toEqual([]);
  });
});

describe('a program whose host died', () => {
  it('goes on with the same stream, and is told that what waited is lost', async () => {
    const hosts = [await stage.start(), await stage.start()] as const;
    const links = [await hosts[0].greet(1), await hosts[1].greet(1)] as const;
    const events: DeviceEvent[] = [];
    const owner = { changed: () => undefined, closed: () => undefined, notMoved: () => undefined };
    const spec = {
      kind: 'program',
      deviceId: 'bot',
      rate: 16_000,
      channels: 'streams',
      queueMs: 900,
    } as const;
    const device = new RemoteDevice(spec, links[0], owner);
    for (const link of links)
      link.handle({
        onAudio: () => undefined,
        onEvent: (_deviceId, event) => device.take(event),
        onPlaneEvent: () => undefined,
        onLost: () => undefined,
      });
    const handle = programHandle(
      device,
      device.open((event) => events.push(event)),
    );
    expect(await handle.opened).toMatchObject({ streamId: 'stream-bot' });
    await handle.setDelivery([{ streamId: 'phone', kinds: ['audio'] }]);
    await hosts[0].server.end();
    await vi.waitFor(() => expect(links[0].isLost).toBe(true));
    device.move(() => Promise.resolve(links[1]));
    handle.play(Buffer.alloc(320));
    await vi.waitFor(() => expect(events).toEqual([{ type: 'interrupted' }]));
    expect(hosts[1].plane.specs).toEqual([{ ...spec, streamId: 'stream-bot' }]);
    await vi.waitFor(() =>
      expect(hosts[1].plane.deliveries('bot')).toEqual([[{ streamId: 'phone', kinds: ['audio'] }]]),
    );
    handle.mark('later');
    await vi.waitFor(() => expect(hosts[1].plane.programs.told).toEqual([['bot', 'mark later']]));
  });
});
