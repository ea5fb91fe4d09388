import { describe, expect, it, vi } from 'vitest';
import { MediaError } from '../../../media/types.js';
import { createPhoneApp } from '../index.js';
import { FakeDialog, FakeGate, FakeRequest, FakeSrf, recordingLog, VALID_TOKEN } from '../testing/fakes.js';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { transferTarget } from './transfer.js';

function refer(to: string): FakeRequest {
  return new FakeRequest('REFER', { headers: { 'refer-to': to } });
}

/** An answered call at a gateway that accepts transfers by default. */
async function call(options: { acceptTransfers: boolean } = { acceptTransfers: true }) {
  const srf = new FakeSrf();
  const gate = new FakeGate();
  const media = new FakeMediaPlane();
  const { log, lines } = recordingLog();
  const app = createPhoneApp({ srf: srf.srf, gate, media, log, ...options });
  const headers = { 'user-to-user': `${VALID_TOKEN};encoding=jwt` };
  srf.receive(new FakeRequest('INVITE', { headers, body: 'offer' }));
  await vi.waitFor(() => expect(srf.dialogs).toHaveLength(1));
  return { srf, gate, media, app, dialog: srf.dialogs[0]!, lines };
}

const notified = (dialog: FakeDialog): string[] =>
  dialog.requests.filter(({ method }) => method === 'NOTIFY').map(({ body }) => body!.trim());

function answeringTarget(): FakeDialog {
  const target = new FakeDialog();
  target.remote = { sdp: 'answer of the target' };
  return target;
}

describe('transferTarget', () => {
  it.each([
    ['<sip:bob@host>', { uri: 'sip:bob@host', headers: {} }],
    [
      '"Bob" <sips:bob@host:5061;transport=tls>;x=y',
      { uri: 'sips:bob@host:5061;transport=tls', headers: {} },
    ],
    ['sip:bob@host;x=y', { uri: 'sip:bob@host', headers: {} }],
    [
      '<sip:bob@host?Replaces=abc%40h%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=x>',
      {
        uri: 'sip:bob@host',
        headers: { Replaces: 'abc@h;to-tag=1;from-tag=2', Require: 'replaces', Subject: 'x' },
      },
    ],
    // linphone-desktop #466, JsSIP #970
    [
      '<sip:t@h;method=INVITE;transport=tcp?Replaces=a%3Bto-tag%3D1&User-to-User=ff00%3Bencoding%3Dhex&x-order=7>',
      {
        uri: 'sip:t@h;transport=tcp',
        headers: {
          Replaces: 'a;to-tag=1',
          Require: 'replaces',
          'User-to-User': 'ff00;encoding=hex',
          'X-Order': '7',
        },
      },
    ],
    [
      '<sip:t@h?From=x&Via=y&Route=z&Call-ID=1&Content-Type=a&body=b&Contact=c&Authorization=d&X-=&X-a:=1>',
      { uri: 'sip:t@h', headers: {} },
    ],
  ])('reads %s', (value, target) => {
    expect(transferTarget(refer(value))).toEqual(target);
  });

  it.each([
    '',
    '<tel:+1555>',
    '<http://host/>',
    '<sip:a b>',
    '<sip:bob@host?Replaces=a%0d%0ab>',
    '<sip:bob@host?X-A=a%0d%0ab>',
    '<sip:bob@host;method=BYE>',
  ])('refuses %j', (value) => {
    expect(() => transferTarget(refer(value))).toThrow(expect.objectContaining({ status: 400 }) as Error);
  });
});

describe('REFER', () => {
  it('transfers the call to the target, and reports progress to the phone', async () => {
    const { srf, gate, media, dialog } = await call();
    const target = answeringTarget();
    srf.target = target;
    const request = dialog.receive('refer', refer('<sip:bob@host>'));
    expect(request.final?.status).toBe(202);
    await vi.waitFor(() => expect(dialog.byes).toEqual(['SIP;cause=200;text="The call was transferred."']));
    expect(notified(dialog)).toEqual(['SIP/2.0 100 Trying', 'SIP/2.0 200 OK']);
    const states = dialog.requests.map(({ headers }) => headers?.['Subscription-State']);
    expect(states.slice(0, 2)).toEqual(['active;expires=60', 'terminated;reason=noresource']);
    expect(srf.placed).toMatchObject([{ uri: 'sip:bob@host', localSdp: 'offer-2' }]);
    expect(media.answers).toEqual(['answer of the target']);
    expect(gate.ends).toEqual([]);

    gate.devices.get('alice')!.close('session-deleted');
    await vi.waitFor(() => expect(target.byes).toHaveLength(1));
    expect(dialog.byes).toHaveLength(1);
  });

  it('uses the description of the target’s 183, with the same To tag, when its 200 has none (pjproject #1397)', async () => {
    const { srf, media, dialog } = await call();
    const target = answeringTarget();
    target.remote = { sdp: '' };
    srf.provisional = [
      ['<sip:bob@host>;tag=theirs', 'answer of the 183'],
      ['<sip:bob@host>;tag=another', 'answer of another'],
      ['<sip:bob@host>;tag=theirs', ''],
    ];
    srf.target = target;
    dialog.receive('refer', refer('<sip:bob@host>'));
    await vi.waitFor(() => expect(media.answers).toEqual(['answer of the 183']));
    await vi.waitFor(() => expect(dialog.byes).toHaveLength(1));
  });

  it.each([
    [{}, '<sip:+15555550100@voice.example>'],
    [{ 'referred-by': '"Ann" <sip:ann@voice.example>;cid="1"' }, '<sip:ann@voice.example>'],
    [{ b: '<sip:ann@voice.example>' }, '<sip:ann@voice.example>'],
    [{ from: `<sip:${VALID_TOKEN}@voice.example>;tag=1` }, undefined],
  ])('says by whom, of %j (RFC 3892)', async (headers, referredBy) => {
    const { srf, dialog } = await call();
    dialog.receive(
      'refer',
      new FakeRequest('REFER', { headers: { 'refer-to': '<sip:bob@host?X-A=1>', ...headers } }),
    );
    await vi.waitFor(() => expect(srf.placed).toHaveLength(1));
    expect(srf.placed[0]!.headers['Referred-By']).toBe(referredBy);
    expect(srf.placed[0]!.headers['X-A']).toBe('1');
  });

  it('leaves the call as it was when the target refuses', async () => {
    const { srf, gate, app, dialog } = await call();
    srf.target = { status: 486, reason: 'Busy Here' };
    dialog.receive('refer', refer('<sip:bob@host>'));
    await vi.waitFor(() => expect(notified(dialog)).toEqual(['SIP/2.0 100 Trying', 'SIP/2.0 486 Busy Here']));
    expect([gate.ends, dialog.byes, app.callCount]).toEqual([[], [], 1]);
    dialog.emit('destroy', new FakeRequest('BYE'));
    await vi.waitFor(() => expect(gate.ends).toEqual(['left']));
  });

  it('goes on when the phone hangs up before the target answers', async () => {
    const { srf, gate, dialog } = await call();
    dialog.receive('refer', refer('<sip:bob@host>'));
    await vi.waitFor(() => expect(srf.placed).toHaveLength(1));
    dialog.emit('destroy', new FakeRequest('BYE'));
    expect(gate.ends).toEqual([]);
    expect((await again(dialog))?.status).toBe(491);
    gate.devices.get('alice')!.close('disconnected');
    expect(srf.cancelled).toBe(1);
  });

  it('ends the call when the phone has hung up and the target refuses', async () => {
    const { srf, gate, dialog } = await call();
    const noted = dialog.answering;
    srf.target = { status: 603, reason: 'Decline' };
    dialog.answering = (options) => {
      if (options.method === 'NOTIFY') dialog.emit('destroy', new FakeRequest('BYE'));
      return noted(options);
    };
    dialog.receive('refer', refer('<sip:bob@host>'));
    await vi.waitFor(() => expect(gate.ends).toEqual(['left']));
  });

  it('ends the call with a warning when the answer of the target cannot be used', async () => {
    const { srf, media, app, dialog, lines } = await call();
    srf.target = answeringTarget();
    media.phones.answer = () => Promise.reject(new MediaError('NO_COMMON_CODEC', 'No codec of the target.'));
    dialog.receive('refer', refer('<sip:bob@host>'));
    await vi.waitFor(() => expect(app.callCount).toBe(0));
    const levels = lines.map((line) => (JSON.parse(line) as { level: number }).level);
    expect(Math.max(...levels)).toBe(40);
    expect(lines.join('')).toContain('No codec of the target.');
    expect(lines.join('')).not.toContain('stack');
  });

  it('gets 405 when transfers are not accepted', async () => {
    const { srf, dialog } = await call({ acceptTransfers: false });
    const request = dialog.receive('refer', refer('<sip:bob@host>'));
    await vi.waitFor(() => expect(request.final?.status).toBe(405));
    expect(request.final?.headers?.['Allow']).not.toContain('REFER');
    expect(srf.placed).toEqual([]);
  });
});

async function again(dialog: FakeDialog) {
  const second = dialog.receive('refer', refer('<sip:carol@host>'));
  await vi.waitFor(() => expect(second.final).toBeDefined());
  return second.final;
}
