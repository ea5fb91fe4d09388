import { pino } from 'pino';
import { expect, it, vi } from 'vitest';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import type { PhoneMediaEvent } from '../../../media/door.js';
import { CarriedLegs } from './carried-legs.js';
import { FreeswitchMedia, FreeswitchPool } from './media.js';
import type { FreeswitchServer } from './server.js';

const log = pino({ level: 'silent' });

const OFFER = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0']
  .concat('m=audio 4000 RTP/AVP 0', '')
  .join('\r\n');

const SPEC = { deviceId: 'd', sessionId: 's', labels: { participantId: 'p' }, metersSpeech: true } as const;

/** A FreeSWITCH whose legs are there when the test says so. */
class FakeServer {
  readonly address = 'fake:8021';
  readonly connection = {
    phoneLeg: () => {
      const leg = this.#leg();
      return { answer: leg.then(({ sdp }) => sdp), leg };
    },
    mediaLeg: () => this.#leg(),
    passOnDtmf: () => Promise.resolve(),
    bridge: () => Promise.resolve(),
  };
  readonly refused = vi.fn();
  /** Legs that were asked for, and that were hung up. */
  opened = 0;
  hungUp = 0;
  /** Ends the leg of that number, for a cause. */
  end: ((cause: string) => void)[] = [];
  /** Set: legs are there when it resolves. */
  gate: Promise<void> | undefined;

  status = () => ({ address: this.address, available: true, load: 0 });
  reserve = (): void => undefined;
  accepted = (): void => undefined;

  async #leg() {
    this.opened += 1;
    await this.gate;
    return {
      sdp: OFFER,
      mediaIp: '192.0.2.2',
      ended: new Promise<string>((resolve) => this.end.push(resolve)),
      modify: () => Promise.resolve(OFFER),
      findDtmf: () => undefined,
      hangUp: () => {
        this.hungUp += 1;
        return Promise.resolve();
      },
    };
  }
}

function start(servers = [new FakeServer()]) {
  const plane = new FakeMediaPlane();
  const pool = new FreeswitchPool(servers as unknown as FreeswitchServer[]);
  const media = new FreeswitchMedia(pool, {
    plane,
    sipReachable: () => Promise.resolve(true),
    fallbackToDirect: false,
    carriedLegs: new CarriedLegs({ sipServers: new Map(), embedded: undefined, log }),
    left: new Map(),
    onChanged: () => undefined,
    log,
  });
  const events: PhoneMediaEvent[] = [];
  const open = () =>
    media.open({ ...SPEC, kind: 'phone', sdpOffer: OFFER }, (event) => {
      events.push(event);
    });
  const calls = (): number => media.callsOn(servers[0] as unknown as FreeswitchServer);
  return { plane, media, server: servers[0]!, open, events, calls };
}

it('opens two legs and the plane’s end, and frees them', async () => {
  const { plane, server, open, calls } = start();
  const handle = open();
  await handle.opened;
  expect([server.opened, plane.present, calls()]).toEqual([2, ['d'], 1]);
  expect(plane.specs).toEqual([{ ...SPEC, kind: 'phone', source: 'trusted' }]);
  const closing = handle.close();
  // It counts no more, though its legs are hung up only now.
  expect(calls()).toBe(0);
  await closing;
  await handle.close();
  expect([server.hungUp, plane.present, calls()]).toEqual([2, [], 0]);
});

it('opens no leg for a phone that is closed while the plane opens its end', async () => {
  const { plane, server, open, calls } = start();
  let answer = (): void => undefined;
  plane.phones.gate = new Promise((resolve) => (answer = resolve));
  const handle = open();
  const closing = handle.close();
  answer();
  await closing;
  await expect(handle.opened).rejects.toMatchObject({ code: 'INVALID_STATE' });
  expect([server.opened, plane.present, calls()]).toEqual([0, [], 0]);
  expect(server.refused).not.toHaveBeenCalled();
});

it('hangs up the legs of a phone that is closed while they open, and tries no other FreeSWITCH', async () => {
  const [server, other] = [new FakeServer(), new FakeServer()];
  const { plane, open, calls } = start([server, other]);
  let connect = (): void => undefined;
  server.gate = new Promise((resolve) => (connect = resolve));
  const handle = open();
  await vi.waitFor(() => expect(server.opened).toBe(2));
  const closing = handle.close();
  connect();
  await closing;
  await expect(handle.opened).rejects.toMatchObject({ code: 'INVALID_STATE' });
  expect(server.refused).not.toHaveBeenCalled();
  expect([server.hungUp, other.opened, plane.present, calls()]).toEqual([2, 0, [], 0]);
});

it('passes on what the plane says, and tells that its legs ended', async () => {
  const { plane, server, open, events } = start();
  const handle = open();
  await handle.opened;
  plane.emit('d', { type: 'dtmf', digit: '5', durationMs: 100 });
  server.end[0]!('MEDIA_TIMEOUT');
  server.end[1]!('NORMAL_CLEARING');
  await vi.waitFor(() =>
    expect(events).toEqual([
      { type: 'dtmf', digit: '5', durationMs: 100 },
      { type: 'mediaLost', cause: 'timeout' },
    ]),
  );
  await handle.close();
});

it('keeps a delivery for the end that it opens', async () => {
  const { plane, open } = start();
  const handle = open();
  await handle.setDelivery([{ streamId: 's', kinds: ['audio'] }]);
  await handle.opened;
  expect(plane.deliveries('d').at(-1)).toEqual([{ streamId: 's', kinds: ['audio'] }]);
});

it('says the codec and the encryption between FreeSWITCH and the phone, whatever goes between it and the plane', async () => {
  const { plane, open, events } = start();
  plane.phones.codec = 'opus';
  plane.phones.audio = { codec: 'opus', encryption: 'none' };
  const handle = open();
  const { stream, audio } = await handle.opened;
  expect([stream?.codecs, audio]).toEqual([['PCMU'], { codec: 'PCMU', encryption: 'none' }]);
  plane.emit('d', { type: 'streams', streams: [plane.phones.stream('d')] });
  expect(events).toMatchObject([{ type: 'streams', streams: [{ codecs: ['PCMU'] }] }]);
  await handle.close();
});
