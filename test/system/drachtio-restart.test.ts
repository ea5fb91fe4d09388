import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPhoneApp, leftCalls, type PhoneApp, SipClient } from '../../src/devices/phone/index.js';
import { FakeGate, recordingLog, VALID_TOKEN } from '../../src/devices/phone/testing/fakes.js';
import { FakeMediaPlane } from '../../src/media/testing/fake-plane.js';
import { DRACHTIO_PROGRAM, TestDrachtio } from '../support/servers.js';
import { Caller, type HeardMessage, isRequest, SDP, SipPeer } from '../support/sip-peer.js';
import { until } from '../support/until.js';

const TITLE = 'a call on drachtio-server whose gateway died (needs PATCHBAY_TEST_DRACHTIO_PROGRAM)';
const NO_CALLS = { calls: () => Promise.resolve([]), saveCall: () => undefined, deleteCall: () => undefined };

/** The phone application of one gateway. */
class Gateway {
  readonly gate = new FakeGate();
  readonly media = new FakeMediaPlane();
  readonly #client: SipClient;
  readonly #app: PhoneApp;

  private constructor(client: SipClient) {
    this.#client = client;
    const { log } = recordingLog();
    this.#app = createPhoneApp({
      srf: client.srf,
      gate: this.gate,
      media: this.media,
      sipServer: 'drachtio',
      log,
    });
    client.on('up', () => this.#app.sipServerUp());
  }

  /** @param notes what the media host has of the phones of a gateway before */
  static async start(drachtio: TestDrachtio, notes: readonly [string, string][] = []): Promise<Gateway> {
    const { log } = recordingLog();
    const [host, port, secret] = drachtio.addressBy(drachtio.adminPort).split(':') as [
      string,
      string,
      string,
    ];
    const gateway = new Gateway(new SipClient({ server: { host, port: Number(port), secret }, log }));
    const { media } = gateway;
    for (const [deviceId, note] of notes) media.carry({ kind: 'phone', deviceId, note, streams: [] });
    const carried = media.carried();
    await gateway.#app.restore(
      await leftCalls({ carried, hosts: [], calls: NO_CALLS, sipServers: ['drachtio'], log }),
    );
    expect(await gateway.#client.connect(10_000)).toBe(true);
    return gateway;
  }

  get sipAddress(): { host: string; port: number } {
    return this.#client.sipAddress!;
  }

  die(): [string, string][] {
    this.#client.stop();
    return [...new Map(this.media.notes)];
  }
}

describe.skipIf(!DRACHTIO_PROGRAM)(TITLE, () => {
  let drachtio: TestDrachtio;
  let gateway: Gateway;
  let phone: SipPeer;
  let caller: Caller;

  beforeEach(async () => {
    drachtio = await TestDrachtio.start();
    gateway = await Gateway.start(drachtio);
    phone = await SipPeer.udp(gateway.sipAddress);
    caller = new Caller(phone);
    const headers = [`User-to-User: ${VALID_TOKEN};encoding=jwt`];
    phone.send(caller.request('INVITE', 1, { body: SDP, headers }));
    const ok = await phone.final();
    expect(ok.status).toBe(200);
    caller.learn(ok);
    phone.send(caller.request('ACK', 1));
    await until(
      'the call kept as acknowledged',
      () => gateway.media.notes.at(-1)?.[1].includes('"awaitsAck":false'),
      { withinMs: 20_000 },
    );
    gateway = await Gateway.start(drachtio, gateway.die());
    expect(gateway.gate.devices.has('alice')).toBe(true);
  });

  afterEach(async () => {
    phone.close();
    gateway.die();
    await drachtio.stop();
  });

  function answer(request: HeardMessage, status = '200 OK', body = ''): void {
    const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map(
      (name) => `${name}: ${request.header(name)[0]!}`,
    );
    const contact = [`Contact: <sip:caller@127.0.0.1:${phone.port}>`];
    if (body !== '') contact.push('Content-Type: application/sdp');
    phone.send(
      [`SIP/2.0 ${status}`, ...echo, ...contact, `Content-Length: ${body.length}`, '', body].join('\r\n'),
    );
  }

  it('is asked about, and hung up by the next gateway', async () => {
    answer(await phone.next(isRequest('OPTIONS')));
    gateway.gate.devices.get('alice')!.close('disconnected');
    const bye = await phone.next(isRequest('BYE'));
    expect(bye.header('to')[0]).toContain(`tag=${caller.fromTag}`);
    answer(bye);
  });

  it('can have its media offered anew', async () => {
    answer(await phone.next(isRequest('OPTIONS')));
    gateway.media.emit(gateway.media.present[0]!, { type: 'renegotiate' });
    answer(await phone.next(isRequest('INVITE')), '200 OK', SDP);
    await phone.next(isRequest('ACK'));
    await until('the answer', () => gateway.media.answers.length === 1, { withinMs: 20_000 });
  });

  it('that the phone ends gets 481 for its BYE, and ends when the gateway asks the phone', async () => {
    answer(await phone.next(isRequest('OPTIONS')));
    phone.send(caller.request('BYE', 2));
    expect((await phone.final()).status).toBe(481);
    // drachtio-server has forgotten the dialog by then.
    answer(await phone.next(isRequest('BYE')), '481 Call/Transaction Does Not Exist');
    await until('the end', () => gateway.gate.ends.length === 1, { withinMs: 30_000 });
    expect(gateway.gate.ends).toEqual(['lost']);
  });

  it('that the phone changes gets 481', async () => {
    phone.send(caller.request('INVITE', 2, { body: SDP }));
    expect((await phone.final()).status).toBe(481);
  });
});
