import { expect, it, vi } from 'vitest';
import type { AskedConnection, DeviceInfo, EndReason } from '../core/index.js';
import type { DeviceMediaEvent, PhoneHandle, PhoneMediaEvent } from '../media/index.js';
import { FakeMediaPlane } from '../media/testing/fake-plane.js';
import type { Log } from '../shared/index.js';
import { MediaDevice } from './media-device.js';

const info: DeviceInfo = { id: 'd', kind: 'test', externalId: 'x', direction: 'inbound' };

/** A device that records what happens to it. */
class TestDevice extends MediaDevice<PhoneHandle> {
  readonly capabilities = {};
  readonly formats = {};
  readonly told: unknown[] = [];
  /** Set by {@link answer}. */
  answer!: { readonly admit: () => void; readonly refuse: (error: Error) => void };
  readonly connected = {
    admitted: new Promise<void>((admit, refuse) => (this.answer = { admit, refuse })),
    end: vi.fn(),
    dtmf: vi.fn(),
    measured: vi.fn(),
  };

  constructor(log: Log) {
    super({ info, log, receivable: ['audio'] });
    this.connectedBy(this.connected as unknown as AskedConnection);
  }

  open(plane: FakeMediaPlane): void {
    const listener = this.listener((event: PhoneMediaEvent) => this.takeEvent(event as DeviceMediaEvent));
    this.openedAs(plane.open({ kind: 'phone', deviceId: 'd' }, listener));
  }

  leave(): void {
    this.end('left');
  }

  protected override streamsChanged(streams: unknown): void {
    this.told.push(streams);
  }
  protected override mediaLost(cause: string): void {
    this.told.push(cause);
  }
  protected override refused(error: unknown): void {
    this.told.push(error);
    this.end('error');
  }
  protected override heard(): void {
    this.told.push('heard');
  }
  protected override onEnd(reason: EndReason): void {
    this.told.push(`ended: ${reason}`);
  }
}

function start() {
  const plane = new FakeMediaPlane();
  const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  return { plane, log, device: new TestDevice(log) };
}

const stream = (streamId: string, ...mediaTypes: ('audio' | 'video')[]) => ({
  streamId,
  mediaTypes,
  participantId: 'p',
});

it('keeps a delivery that comes before the media are opened, and passes on what the device can receive', () => {
  const { plane, device } = start();
  device.deliver([stream('a', 'audio', 'video'), stream('v', 'video')]);
  device.open(plane);
  device.deliver([]);
  expect(plane.deliveries('d')).toEqual([[{ streamId: 'a', kinds: ['audio'] }], []]);
});

it("passes on whether its session evens the talkers' levels", () => {
  const { plane, device } = start();
  device.deliver([stream('a', 'audio')], false);
  device.open(plane);
  device.deliver([stream('b', 'audio')]);
  expect(plane.deliveries('d')).toEqual([
    [{ streamId: 'a', kinds: ['audio'], levelling: false }],
    [{ streamId: 'b', kinds: ['audio'] }],
  ]);
});

it('passes on what the gateway itself plays as such', () => {
  const { plane, device } = start();
  device.open(plane);
  device.deliver([{ ...stream('a', 'audio'), announcement: true }, stream('b', 'audio')]);
  expect(plane.deliveries('d')).toEqual([
    [
      { streamId: 'a', kinds: ['audio'], announcement: true },
      { streamId: 'b', kinds: ['audio'] },
    ],
  ]);
});

it('reports events of the media plane to the core and to its subclass', async () => {
  const { plane, device } = start();
  device.open(plane);
  await device.media.opened;
  plane.emit('d', { type: 'dtmf', digit: '#', durationMs: 80 });
  plane.emit('d', { type: 'heard' });
  plane.emit('d', { type: 'streams', streams: [] });
  plane.emit('d', { type: 'mediaLost', cause: 'timeout' });
  expect(device.connected.dtmf).toHaveBeenCalledWith('#', 80);
  expect(device.told).toEqual(['heard', [], 'timeout']);
});

it('ends once, closes its media even while they open, and gets no events then', async () => {
  const { plane, log, device } = start();
  let open = (): void => undefined;
  plane.phones.gate = new Promise((resolve) => (open = resolve));
  device.open(plane);
  device.leave();
  device.close('shutdown');
  open();
  await expect(device.media.opened).rejects.toMatchObject({ code: 'INVALID_STATE' });
  expect(plane.closed).toEqual(['d']);
  expect(device.connected.end.mock.calls).toEqual([['left']]);
  expect(device.told).toEqual(['ended: left']);
  const asLogged = expect.objectContaining({ connectionId: 'd', reason: 'left' }) as object;
  expect(log.debug).toHaveBeenCalledWith(asLogged, 'The media are closed.');
});

it('does not report an end to the core that the core caused, and logs its last statistics', async () => {
  const { plane, log, device } = start();
  device.open(plane);
  await device.media.opened;
  const none = { bytesReceived: 0, packetsSent: 0, bytesSent: 0, packetsLost: 0, jitterMs: 0 };
  const close = device.media.close.bind(device.media);
  const say = (event: PhoneMediaEvent): void => plane.emit('d', event);
  device.media.close = () => {
    say({ type: 'heard' });
    say({ type: 'statistics', statistics: { ...none, packetsReceived: 7 } });
    return close();
  };
  device.close('disconnected');
  expect(device.connected.end).not.toHaveBeenCalled();
  expect(device.told).toEqual(['ended: disconnected']);
  const fields = { connectionId: 'd', deviceId: 'x', reason: 'disconnected', ...none, packetsReceived: 7 };
  const asLogged = expect.objectContaining(fields) as object;
  await vi.waitFor(() => expect(log.debug).toHaveBeenCalledWith(asLogged, 'The media are closed.'));
});

it('tells the core what is measured, and once more when its media are closed', async () => {
  const { plane, device } = start();
  device.open(plane);
  await device.media.opened;
  const none = {
    packetsReceived: 0,
    bytesReceived: 0,
    packetsSent: 0,
    bytesSent: 0,
    packetsLost: 0,
    jitterMs: 0,
  };
  const say = (packets: number): void =>
    plane.emit('d', {
      type: 'statistics',
      statistics: { ...none, quality: { received: { packets }, sent: { packets } } },
    });
  const told = (): unknown[] =>
    device.connected.measured.mock.calls.map(([quality]) => (quality as { sent: object }).sent);
  say(5);
  // A media host of an older version does not measure it.
  plane.emit('d', { type: 'statistics', statistics: none });
  say(6);
  expect(told()).toEqual([{ packets: 5 }, { packets: 6 }]);
  const close = device.media.close.bind(device.media);
  device.media.close = () => {
    say(7);
    return close();
  };
  device.leave();
  await vi.waitFor(() => expect(told()).toEqual([{ packets: 5 }, { packets: 6 }, { packets: 7 }]));
});
