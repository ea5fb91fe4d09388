import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { startSipServer, type SipServer } from '../../../sip-server/index.js';
import { Caller, isRequest, SDP, SipPeer } from '../../../../test/support/sip-peer.js';
import { addressOf } from '../../../../test/support/sip-server.js';
import { createPhoneApp, type PhoneApp, SipClient } from '../index.js';
import { FakeGate, recordingLog, VALID_TOKEN } from '../testing/fakes.js';
import { readCallRecord } from './call-record.js';
import { leftCalls } from './left-calls.js';

const SECRET = 'cymru';
const NO_CALLS = { calls: () => Promise.resolve([]), saveCall: () => undefined, deleteCall: () => undefined };

/** The phones of one gateway: the embedded SIP server, the application on it, and media that outlive both. */
class Phones {
  readonly gate = new FakeGate();
  readonly media = new FakeMediaPlane();
  server!: SipServer;
  #client!: SipClient;
  #app!: PhoneApp;

  static async start(
    port: number,
    notes: readonly (readonly [id: string, note: string])[] = [],
  ): Promise<Phones> {
    const phones = new Phones();
    const { log } = recordingLog();
    for (const [deviceId, note] of notes) phones.media.carry({ kind: 'phone', deviceId, note, streams: [] });
    const left = await leftCalls({
      carried: phones.media.carried(),
      hosts: [],
      calls: NO_CALLS,
      sipServers: ['embedded'],
      log,
    });
    phones.server = await startSipServer({
      listeners: [{ transport: 'udp', host: '127.0.0.1', port }],
      admin: { host: '127.0.0.1', port: 0, secret: SECRET },
      allow: [],
      restored: left.map(({ record }) => record.dialog),
      onDialogChanged: (id) => phones.#app.dialogChanged(id),
      log,
    });
    phones.#client = new SipClient({ server: { ...phones.server.adminAddress, secret: SECRET }, log });
    const { gate, media, server } = phones;
    phones.#app = createPhoneApp({
      srf: phones.#client.srf,
      gate,
      media,
      sipServer: 'embedded',
      embedded: server,
      log,
    });
    phones.#client.on('up', () => phones.#app.sipServerUp());
    await phones.#app.restore(left);
    await phones.#client.connect(5000);
    return phones;
  }

  /** As if killed: sends nothing more. */
  async die(): Promise<void> {
    this.#client.stop();
    await this.server.stop();
  }

  /** What the media host has of each device. */
  get notes(): (readonly [string, string])[] {
    return [...new Map(this.media.notes)];
  }
}

let phones: Phones;
let phone: SipPeer;
let caller: Caller;

beforeEach(async () => {
  phones = await Phones.start(0);
  phone = await SipPeer.udp(addressOf(phones.server, 'udp'));
  caller = new Caller(phone);
});

afterEach(async () => {
  phone.close();
  await phones.die();
});

const token = `User-to-User: ${VALID_TOKEN};encoding=jwt`;

async function call(headers: string[] = []): Promise<void> {
  phone.send(caller.request('INVITE', 1, { body: SDP, headers: [token, ...headers] }));
  const ok = await phone.final();
  expect(ok.status).toBe(200);
  caller.learn(ok);
}

async function acknowledge(): Promise<void> {
  phone.send(caller.request('ACK', 1));
  await expect.poll(() => readCallRecord(phones.notes[0]![1])?.awaitsAck).toBe(false);
}

async function restart(): Promise<void> {
  const { notes } = phones;
  const { port } = addressOf(phones.server, 'udp');
  await phones.die();
  phones = await Phones.start(port, notes);
}

describe('a call on the embedded SIP server', () => {
  it('is kept before its 200 is sent', async () => {
    let keptBefore: number | undefined;
    const open = phones.media.open.bind(phones.media) as (...args: unknown[]) => unknown;
    vi.spyOn(phones.media, 'open').mockImplementation(((...args: unknown[]) => {
      const handle = open(...args) as { keep(note: string): Promise<void> };
      const keep = handle.keep.bind(handle);
      handle.keep = (note) => {
        keptBefore ??= phones.server.counters().responsesOut;
        return keep(note);
      };
      return handle;
    }) as never);
    phone.send(caller.request('INVITE', 1, { body: SDP, headers: [token] }));
    expect((await phone.next()).status).toBe(100);
    expect((await phone.final()).status).toBe(200);
    // Only the 100 was sent before.
    expect(keptBefore).toBe(1);
  });

  it.each(['BYE', 'INFO', 'UPDATE', 'INVITE'])('takes the phone’s %s after a restart', async (method) => {
    await call();
    await acknowledge();
    await restart();
    expect(phones.gate.devices.has('alice')).toBe(true);
    phone.send(caller.request(method, 2, /INVITE|UPDATE/.test(method) ? { body: SDP } : {}));
    expect((await phone.final()).status).toBe(200);
    expect(phones.gate.ends).toEqual(method === 'BYE' ? ['left'] : []);
    if (method === 'INVITE') phone.send(caller.request('ACK', 2));
  });

  it('is hung up by the core after a restart', async () => {
    await call();
    await acknowledge();
    await restart();
    phones.gate.devices.get('alice')!.close('disconnected');
    const bye = await phone.next(isRequest('BYE'));
    expect(bye.header('to')[0]).toContain(`tag=${caller.fromTag}`);
    expect(bye.header('from')[0]).toContain(`tag=${caller.toTag}`);
    const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map((name) => `${name}: ${bye.header(name)[0]!}`);
    phone.send(['SIP/2.0 200 OK', ...echo, 'Content-Length: 0', '', ''].join('\r\n'));
    await expect.poll(() => phones.server.counters().dialogs).toBe(0);
  });

  it('goes on when the ACK of its 200 was lost with the gateway', async () => {
    await call();
    await restart();
    expect((await phone.final()).status).toBe(200);
    phone.send(caller.request('ACK', 1));
    await expect.poll(() => readCallRecord(phones.notes[0]![1])?.awaitsAck).toBe(false);
    phone.send(caller.request('BYE', 2));
    expect((await phone.final()).status).toBe(200);
  });

  it('of a participant that was deleted meanwhile gets BYE', async () => {
    await call();
    await acknowledge();
    const gone = vi.spyOn(FakeGate.prototype, 'connect').mockImplementation(() => {
      throw new Error('There is no such participant.');
    });
    await restart();
    gone.mockRestore();
    await phone.next(isRequest('BYE'));
  });

  it('survives two restarts, with a change in between', async () => {
    await call();
    await acknowledge();
    await restart();
    phone.send(caller.request('UPDATE', 7, { body: SDP }));
    expect((await phone.final()).status).toBe(200);
    await restart();
    phone.send(caller.request('INFO', 6));
    expect((await phone.final()).status).toBe(500);
    phone.send(caller.request('BYE', 8));
    expect((await phone.final()).status).toBe(200);
  });

  it('has an INVITE as large as carriers’ and is kept all the same', async () => {
    const large = [
      ...Array.from(
        { length: 6 },
        (_, n) => `Via: SIP/2.0/UDP 192.0.2.${n}:5060;branch=z9hG4bK${'b'.repeat(60)}${n}`,
      ),
      ...Array.from(
        { length: 6 },
        (_, n) => `Record-Route: <sip:192.0.2.${n};lr;did=${'d'.repeat(40)};ftag=${'f'.repeat(40)}>`,
      ),
      `Identity: ${'i'.repeat(4000)};info=<https://certificates.example/passport.cer>;alg=ES256;ppt=shaken`,
      `X-Everything: ${'x'.repeat(8000)}`,
    ];
    await call(large);
    const [, note] = phones.notes[0]!;
    expect(Buffer.byteLength(note)).toBeLessThan(8192);
    expect(readCallRecord(note)?.dialog).toMatchObject({ unacknowledged: { sequence: 1 } });
    await acknowledge();
    await restart();
    phone.send(caller.request('BYE', 2));
    expect((await phone.final()).status).toBe(200);
  });
});
