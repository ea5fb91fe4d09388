import { EventEmitter } from 'node:events';
import type { Dialog } from 'drachtio-fsmrf';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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

type Bye = Parameters<Parameters<Dialog['on']>[1]>[0];

/** FreeSWITCH's side of a leg, as drachtio-fsmrf and drachtio-srf tell of it. */
interface FarEnd {
  /** The event socket's last word: an event with the cause, or its end. */
  channel(cause?: string): void;
  bye(reason?: string): void;
}

/** The newest of each name. */
let farEnds: Record<string, FarEnd>;

/** A leg as drachtio-fsmrf gives it. */
function leg(uuid: string): Leg {
  const byes = new EventEmitter<{ destroy: [Bye] }>();
  const dialog: Dialog = {
    remote: { sdp: withEvents(audio(30_000)) },
    local: { contact: 'sip:gateway' },
    on: (event, listener) => void byes.on(event, listener),
    request: ({ body }, done) => {
      invited.push(body);
      const status = answers.shift() ?? 200;
      done(undefined, { status, reason: 'of the test', ...(status === 200 && { body: audio(30_000) }) });
    },
    destroy: () => Promise.resolve(),
  };
  const endpoint = Object.assign(new EventEmitter<{ destroy: [end?: { reason?: string }] }>(), {
    uuid,
    dialog,
    local: { sdp: '', mediaIp: '127.0.0.1' },
    execute: () => undefined,
  });
  farEnds[uuid] = {
    channel: (reason) => void endpoint.emit('destroy', ...(reason === undefined ? [] : [{ reason }])),
    bye: (reason) => void byes.emit('destroy', { get: () => reason }),
  };
  return new Leg(endpoint, () => Promise.resolve('+OK'), log);
}

/** Whether FreeSWITCH answers when it is looked at. */
let isUp: boolean;
/** How often the call said that FreeSWITCH takes none. */
let refusals: number;

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
  refused: () => void (refusals += 1),
  check: () => Promise.resolve(isUp),
} as unknown as FreeswitchServer;

/** What the planes are told of the legs to them. */
let toldPlanes: (string | undefined)[][];

const toldPlane = (): string[] => toldPlanes.flat().flatMap((sdp) => sdp ?? []);

/** What the call told of the end of its legs. */
let outcomes: string[];

async function open(sdpOffer?: string): Promise<BridgedCall> {
  const plane = new FakeMediaPlane();
  plane.phones.sdp = audio(20_000);
  toldPlanes.push(plane.phones.offers);
  const spec = { kind: 'phone', deviceId: 'd1', ...(sdpOffer !== undefined && { sdpOffer }) } as const;
  const call = new BridgedCall(server, {
    spec,
    plane,
    listener: () => undefined,
    log,
    onEnded: (cause) => void outcomes.push(cause),
    onOrphaned: () => void outcomes.push('orphaned'),
    onChanged: () => undefined,
  });
  await call.open();
  return call;
}

beforeEach(() => {
  answers = [];
  invited = [];
  toldPlanes = [];
  farEnds = {};
  outcomes = [];
  isUp = true;
  refusals = 0;
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

describe('legs that FreeSWITCH ends', () => {
  /** Longer than all that a call waits for. */
  const LONG_MS = 60_000;
  const CLEARING = 'Q.850;cause=16;text="NORMAL_CLEARING"';

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** The outcome, once nothing more can come. */
  const outcome = async (): Promise<string[]> => {
    await vi.advanceTimersByTimeAsync(LONG_MS);
    return outcomes;
  };

  it('end the call when both say why', async () => {
    await open(audio(4000));
    for (const end of Object.values(farEnds)) end.channel('NORMAL_CLEARING');
    await vi.advanceTimersByTimeAsync(0);
    expect(outcomes).toEqual(['transport']);
    expect(await outcome()).toEqual(['transport']);
  });

  it('end the call when their event sockets end without a cause, and the BYEs that follow name it', async () => {
    await open(audio(4000));
    const { phone, media } = farEnds;
    media!.channel();
    phone!.channel();
    await vi.advanceTimersByTimeAsync(20);
    expect(outcomes).toEqual([]);
    media!.bye(CLEARING);
    phone!.bye(CLEARING);
    expect(await outcome()).toEqual(['transport']);
  });

  it('end the call when the BYE comes first, or alone, or without a Reason', async () => {
    await open(audio(4000));
    farEnds['phone']!.bye();
    expect(await outcome()).toEqual(['transport']);
    farEnds['phone']!.channel();
    farEnds['media']!.channel('NORMAL_CLEARING');
    expect(await outcome()).toEqual(['transport']);
  });

  it('are lost without a cause and a BYE, as long as FreeSWITCH is up', async () => {
    await open(audio(4000));
    farEnds['phone']!.channel();
    expect(await outcome()).toEqual(['orphaned']);
    expect(refusals).toBe(0);
  });

  it('are the server’s to tell of when FreeSWITCH is down', async () => {
    await open(audio(4000));
    isUp = false;
    farEnds['phone']!.channel();
    expect(await outcome()).toEqual([]);
  });

  it.each([
    ['SYSTEM_SHUTDOWN', 'orphaned', 1],
    ['MEDIA_TIMEOUT', 'timeout', 0],
  ])(
    'end for %s even if the other leg, which was cleared for it, tells first',
    async (cause, told, times) => {
      await open(audio(4000));
      farEnds['media']!.channel('NORMAL_CLEARING');
      await vi.advanceTimersByTimeAsync(20);
      farEnds['phone']!.channel();
      farEnds['phone']!.bye(`SIP;cause=501;text="${cause}"`);
      expect(await outcome()).toEqual([told]);
      expect(refusals).toBe(times);
    },
  );

  it('are not waited for together when one was never opened', async () => {
    await open();
    farEnds['phone']!.channel('NORMAL_CLEARING');
    await vi.advanceTimersByTimeAsync(0);
    expect(outcomes).toEqual(['transport']);
  });

  it('mean nothing once the call has others, whose end is told of again', async () => {
    const call = await open(audio(4000));
    const { phone: left } = farEnds;
    left!.channel();
    const moving = call.moveTo(server);
    left!.bye(CLEARING);
    await moving;
    expect(await outcome()).toEqual([]);
    for (const end of Object.values(farEnds)) end.channel('NORMAL_CLEARING');
    expect(await outcome()).toEqual(['transport']);
  });

  it('mean nothing once the call is closed', async () => {
    const call = await open(audio(4000));
    const closing = call.close();
    for (const end of Object.values(farEnds)) {
      end.bye(CLEARING);
      end.channel('NORMAL_CLEARING');
    }
    await closing;
    expect(await outcome()).toEqual([]);
  });
});
