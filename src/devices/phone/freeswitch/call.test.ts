import { EventEmitter } from 'node:events';
import type { Dialog } from 'drachtio-fsmrf';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { BridgedCall } from './call.js';
import { Leg, ModifyRefused } from './leg.js';
import type { FreeswitchServer } from './server.js';

const log = pino({ level: 'silent' });

const audio = (port: number): string =>
  [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio ${port} RTP/AVP 0`,
    '',
  ].join('\r\n');

const withEvents = (sdp: string): string =>
  `${sdp.replace('AVP 0', 'AVP 0 101')}a=rtpmap:101 telephone-event/8000\r\n`;

/** SIP statuses with which FreeSWITCH answers the next re-INVITEs of the phone's leg; then 200. */
let answers: number[];
/** The bodies of the re-INVITEs that it got. */
let invited: string[];

/** A leg as drachtio-fsmrf gives it. */
function leg(uuid: string): Leg {
  const dialog: Dialog = {
    remote: { sdp: withEvents(audio(30_000)) },
    local: { contact: 'sip:gateway' },
    on: () => undefined,
    request: ({ body }, done) => {
      invited.push(body);
      const status = answers.shift() ?? 200;
      done(undefined, { status, reason: 'of the test', ...(status === 200 && { body: audio(30_000) }) });
    },
    destroy: () => Promise.resolve(),
  };
  const endpoint = Object.assign(new EventEmitter<{ destroy: [] }>(), {
    uuid,
    dialog,
    local: { sdp: '', mediaIp: '127.0.0.1' },
    execute: () => undefined,
  });
  return new Leg(endpoint, () => Promise.resolve('+OK'), log);
}

const server = {
  address: 'freeswitch:8021',
  connection: {
    offeringLeg: () => Promise.resolve(leg('phone')),
    phoneLeg: () => ({ answer: Promise.resolve(audio(30_000)), leg: Promise.resolve(leg('phone')) }),
    mediaLeg: () => Promise.resolve(leg('media')),
    bridge: () => Promise.resolve(),
    passOnDtmf: () => Promise.resolve(),
  },
  reserve: () => undefined,
  accepted: () => undefined,
} as unknown as FreeswitchServer;

/** What the planes are told of the legs to them. */
let toldPlanes: (string | undefined)[][];

const toldPlane = (): string[] => toldPlanes.flat().flatMap((sdp) => sdp ?? []);

const nothing = (): void => undefined;

async function open(sdpOffer?: string): Promise<BridgedCall> {
  const plane = new FakeMediaPlane();
  plane.phones.sdp = audio(20_000);
  toldPlanes.push(plane.phones.offers);
  const spec = { kind: 'phone', deviceId: 'd1', ...(sdpOffer !== undefined && { sdpOffer }) } as const;
  const options = { spec, plane, listener: nothing, log, onEnded: nothing, onOrphaned: nothing };
  const call = new BridgedCall(server, options);
  await call.open();
  return call;
}

beforeEach(() => {
  answers = [];
  invited = [];
  toldPlanes = [];
});

describe('media that FreeSWITCH refuses, and is deaf to the phone afterwards', () => {
  it('are replaced by the last good offer of the phone', async () => {
    const call = await open(audio(4000));
    await call.update(audio(4002));
    answers = [488];
    await expect(call.update(audio(4004))).rejects.toThrow(ModifyRefused);
    expect(invited).toEqual([audio(4002), audio(4004), audio(4002)]);
    expect(call.phoneSdp).toBe(audio(4002));
  });

  it('are replaced by the last good answer of the phone to an offer of ours', async () => {
    const call = await open();
    await call.answer(audio(4000));
    await call.update();
    answers = [488];
    await expect(call.answer(audio(4002))).rejects.toThrow(ModifyRefused);
    expect(invited).toEqual([audio(4000), audio(4002), audio(4000)]);
    expect(call.phoneSdp).toBe(audio(4000));
  });

  it('are not replaced when none were good before', async () => {
    const call = await open();
    answers = [488];
    await expect(call.answer(audio(4000))).rejects.toThrow(ModifyRefused);
    expect(invited).toEqual([audio(4000)]);
  });
});

describe('the media plane', () => {
  it('sends telephone events to a phone that has them, and tones to one that has none', async () => {
    const call = await open(withEvents(audio(4000)));
    expect(toldPlane().at(-1)).toContain('telephone-event');
    await call.update(audio(4002));
    expect(toldPlane().at(-1)).not.toContain('telephone-event');
    await call.update(withEvents(audio(4004)));
    expect(toldPlane().at(-1)).toContain('telephone-event');
    await open(audio(4000));
    expect(toldPlane().at(-1)).not.toContain('telephone-event');
    expect(toldPlane()).toHaveLength(4);
  });
});
