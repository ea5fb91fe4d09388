import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PhoneMediaEvent } from '../../../media/door.js';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import type { CallRecord, DialogRecord, FreeswitchRecord } from '../restore/call-record.js';
import { FakeSrf } from '../testing/fakes.js';
import { CarriedLegs } from './carried-legs.js';
import { FreeswitchMedia, FreeswitchPool } from './media.js';
import type { FreeswitchServer } from './server.js';

const log = pino({ level: 'silent' });
const SIP_SERVER = 'sip:9022';
const ADDRESS = 'fake:8021';

const audio = (port: number): string =>
  ['v=0', 'o=- 7 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0']
    .concat(`m=audio ${port} RTP/AVP 0`, '')
    .join('\r\n');

const PHONE = audio(4000);
const TOLD = audio(30_000);

const dialog = (id: string): DialogRecord => ({
  id,
  role: 'uac',
  callId: `call-${id}`,
  localTag: 'ours',
  remoteTag: 'theirs',
  localParty: '<sip:gateway>;tag=ours',
  remoteParty: '<sip:drachtio@fake>;tag=theirs',
  routeSet: [],
  remoteTarget: 'sip:mod_sofia@192.0.2.2:5080',
  localContact: '<sip:192.0.2.1:5060>',
});

const LEGS: NonNullable<FreeswitchRecord['legs']> = {
  phone: { uuid: 'phone', mediaIp: '192.0.2.2', sipServer: SIP_SERVER, dialog: dialog('to-phone') },
  media: {
    uuid: 'media',
    mediaIp: '192.0.2.2',
    sdp: audio(30_002),
    sipServer: SIP_SERVER,
    dialog: dialog('to-media'),
  },
};

/** A call of the gateway before, as far as its media are concerned. */
function record(freeswitch: Partial<FreeswitchRecord> = {}): CallRecord {
  return {
    info: { id: 'd' },
    origin: { address: '192.0.2.9', isDirect: true, isConnection: false },
    dialog: { ...dialog('phone'), localSdp: TOLD },
    held: false,
    freeswitch: {
      server: ADDRESS,
      phoneSdp: PHONE,
      origin: { id: '7', version: 3 },
      legs: LEGS,
      ...freeswitch,
    },
  } as unknown as CallRecord;
}

/** Channels of the FreeSWITCH, with those who watch them. */
let channels: Map<string, (cause: string | undefined) => void>;
let killed: string[];
/** Legs that were opened anew. */
let opened: number;
let isUp: boolean;

function leg() {
  opened += 1;
  return {
    uuid: `new-${opened}`,
    sdp: TOLD,
    mediaIp: '192.0.2.2',
    dialog: { id: `new-${opened}`, srf: srf.srf },
    ended: new Promise(() => undefined),
    findDtmf: () => undefined,
    hangUp: () => Promise.resolve(),
    abandon: () => undefined,
  };
}

const connection = {
  api: (command: string) => {
    const [name, uuid = ''] = command.split(' ');
    if (name === 'uuid_kill') {
      killed.push(uuid);
      channels.get(uuid)?.('NORMAL_CLEARING');
    }
    return Promise.resolve('+OK');
  },
  watch: (uuid: string, onEnd: (cause: string | undefined) => void) => {
    if (channels.has(uuid)) channels.set(uuid, onEnd);
    else onEnd(undefined);
  },
  phoneLeg: () => ({ answer: Promise.resolve(TOLD), leg: Promise.resolve(leg()) }),
  mediaLeg: () => Promise.resolve(leg()),
  passOnDtmf: () => Promise.resolve(),
  bridge: () => Promise.resolve(),
};

const server = {
  address: ADDRESS,
  get connection() {
    return isUp ? connection : undefined;
  },
  status: () => ({ address: ADDRESS, available: isUp, load: 0 }),
  check: () => Promise.resolve(isUp),
  reserve: () => undefined,
  accepted: () => undefined,
  refused: () => undefined,
} as unknown as FreeswitchServer;

let srf: FakeSrf;
let plane: FakeMediaPlane;
let events: PhoneMediaEvent[];
let changed: string[];

function start(left: CallRecord | undefined, servers = [server]): FreeswitchMedia {
  return new FreeswitchMedia(new FreeswitchPool(servers), {
    plane,
    sipReachable: () => Promise.resolve(true),
    fallbackToDirect: false,
    carriedLegs: new CarriedLegs({
      sipServers: new Map([[SIP_SERVER, srf.srf]]),
      embedded: {
        hasLostConnection: () => false,
        savedDialog: dialog,
        takeOver: (given) => given,
        giveAway: () => undefined,
      },
      log,
    }),
    left: new Map(left && [[left.info.id, left]]),
    onChanged: (deviceId) => void changed.push(deviceId),
    log,
  });
}

/** Goes on with the phone, whose end in the media plane lives. */
function adopt(media: FreeswitchMedia) {
  plane.carry({ kind: 'phone', deviceId: 'd', note: '', streams: [] });
  return media.adoptPhone('d', (event) => void events.push(event))!;
}

beforeEach(() => {
  channels = new Map(['phone', 'media'].map((uuid) => [uuid, () => undefined]));
  killed = [];
  opened = 0;
  isUp = true;
  srf = new FakeSrf();
  srf.app.client = srf.agent;
  srf.agent.answering = () => ({ status: 200, body: audio(30_004) });
  plane = new FakeMediaPlane();
  plane.phones.sdp = audio(20_000);
  events = [];
  changed = [];
});

describe('a phone of the gateway before', () => {
  it('keeps its legs, without a word to anybody', async () => {
    const media = start(record());
    const handle = adopt(media);
    expect((await handle.opened).sdp).toBe(TOLD);
    expect([...srf.restored.keys()]).toEqual(['to-phone', 'to-media']);
    expect(media.callsOn(server)).toBe(1);
    expect([opened, killed, srf.agent.requests, events]).toEqual([0, [], [], []]);
    expect(media.recordOf('d')).toEqual({ ...record().freeswitch, toldSdp: TOLD });
    media.releaseLeft();
    expect(killed).toEqual([]);
  });

  it('is restored in the plane as one that is reached by FreeSWITCH', async () => {
    const media = start(record());
    const restored = { state: 'kept', ageMs: 5 };
    const source = { address: '192.0.2.9', isDirect: true, isConnection: false };
    const handle = media.open({ kind: 'phone', deviceId: 'd', source, restored }, () => undefined);
    await handle.opened;
    expect(plane.specs).toEqual([{ kind: 'phone', deviceId: 'd', source: 'trusted', restored }]);
    expect(opened).toBe(0);
  });

  it('changes its media on the legs that it has, and its descriptions go on from the last', async () => {
    const media = start(record());
    const handle = adopt(media);
    const { sdp } = await handle.update(audio(4002));
    expect(srf.agent.sent('INVITE')).toMatchObject([
      { body: audio(4002), headers: { Contact: '<sip:192.0.2.1:5060>' } },
    ]);
    expect(sdp).toContain('o=patchbay 7 4 ');
    expect(sdp).toContain('m=audio 30004 ');
    // The plane hears of its own leg.
    expect(plane.answers.at(-1)).toContain('m=audio 30002 ');
  });

  it('has its legs hung up when it is closed', async () => {
    const media = start(record());
    const handle = adopt(media);
    await handle.opened;
    const closing = handle.close();
    await vi.waitFor(() => expect(killed.sort()).toEqual(['media', 'phone']));
    for (const restored of srf.restored.values())
      (restored as unknown as { emit(name: string, bye: object): void }).emit('destroy', {
        get: () => undefined,
      });
    await closing;
    expect(plane.closed).toEqual(['d']);
  });

  it('ends when FreeSWITCH hangs up its legs', async () => {
    const media = start(record());
    await adopt(media).opened;
    for (const end of channels.values()) end('NORMAL_CLEARING');
    await vi.waitFor(() => expect(events).toEqual([{ type: 'mediaLost', cause: 'transport' }]));
  });

  it('gets new legs, and is told of them, when its FreeSWITCH is down', async () => {
    isUp = false;
    const other = Object.assign({}, server, {
      address: 'other:8021',
      connection,
      status: () => ({ available: true, load: 0 }),
    });
    const media = start(record(), [server, other]);
    await adopt(media).opened;
    await vi.waitFor(() => expect(events).toEqual([{ type: 'renegotiate' }]), 10_000);
    expect(opened).toBe(2);
    await vi.waitFor(() => expect(changed).toEqual(['d']));
    expect(media.recordOf('d')).toMatchObject({
      server: 'other:8021',
      legs: { phone: { uuid: 'new-1' }, media: { uuid: 'new-2' } },
    });
  });

  it('gets new legs when the gateway died before they were bridged', async () => {
    const { legs, ...unbridged } = record().freeswitch!;
    expect(legs).toBeDefined();
    const media = start({ ...record(), freeswitch: unbridged });
    await adopt(media).opened;
    await vi.waitFor(() => expect(events).toEqual([{ type: 'renegotiate' }]));
    expect(opened).toBe(2);
  });

  it('cannot go on when its FreeSWITCH is not configured any more', () => {
    const media = start(record({ server: 'former:8021' }));
    expect(() => adopt(media)).toThrow('No media server');
    expect(plane.carried()).toHaveLength(1);
  });

  it('that was served directly is still', async () => {
    const { freeswitch, ...direct } = record();
    expect(freeswitch).toBeDefined();
    const media = start(direct);
    const handle = adopt(media);
    await handle.opened;
    expect(media.recordOf('d')).toBeUndefined();
    await handle.update(PHONE);
    expect(plane.phones.offers.at(-1)).toBe(PHONE);
  });

  it('that nobody goes on with, or without an end in the plane, has its legs hung up', async () => {
    const media = start(record());
    expect(media.adoptPhone('d', () => undefined)).toBeUndefined();
    expect([...media.leftChannels()]).toEqual(['phone', 'media']);
    media.releaseLeft();
    expect(media.leftChannels().size).toBe(0);
    await vi.waitFor(() => expect(killed.sort()).toEqual(['media', 'phone']));
  });
});

describe('legs whose gateway and FreeSWITCH died', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('are made anew in the next one', async () => {
    channels.clear();
    const media = start(record());
    await adopt(media).opened;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(events).toEqual([{ type: 'renegotiate' }]);
    expect(opened).toBe(2);
  });
});
