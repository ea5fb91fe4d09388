import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { ladderOf, tracePath } from '../support/ladder.js';
import { isDirect, isEmbedded } from '../support/phone-room.js';
import { DEVELOPMENT_ACCOUNT, Rest, type TestParticipant } from '../support/rest.js';
import { placeCall, placeRefusedCall } from '../support/sipp.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const OTHER_ACCOUNT = { id: '9900001', user: 'other', password: 'others' };
const PATCHBAY_ACCOUNTS = [DEVELOPMENT_ACCOUNT, OTHER_ACCOUNT]
  .map(({ id, user, password }) => `${id}:${user}:${password}`)
  .join(',');

interface FailedCall {
  readonly participantId: string;
  readonly deviceId: string;
  readonly status: number;
  readonly reason: string;
  readonly codecs: readonly string[];
}

interface ListedCall {
  readonly deviceId: string;
}

/** Codecs that the gateway has none of. */
const g729 = (port: number): string =>
  [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio ${port} RTP/AVP 18 97 101`,
    'a=rtpmap:97 iLBC/8000',
    'a=rtpmap:101 telephone-event/8000',
    '',
  ].join('\r\n');

describe('a call that was refused', () => {
  let gateway: TestGateway;
  let receiver: WebhookReceiver;
  let rest: Rest;
  let session: string;
  let asking: TestParticipant;

  const failed = async (account = rest): Promise<readonly FailedCall[]> =>
    ((await account.request('GET', '/calls/failed')) as { items: FailedCall[] }).items;

  beforeAll(async () => {
    receiver = await WebhookReceiver.start();
    gateway = await startGateway({ env: { PATCHBAY_ACCOUNTS } });
    rest = new Rest(gateway);
    session = await rest.session();
    asking = await rest.member(session, { callbackUrl: receiver.url, events: ['callFailed'] });
  });

  afterAll(async () => {
    expect(await gateway.stop()).toBe(0);
    receiver.close();
  });

  it('is listed for its account, told by webhook and logged with its Call-ID', async () => {
    const refused = await placeRefusedCall({
      sipPort: gateway.sipPort,
      token: asking.token,
      invite: { sdp: g729 },
    });
    expect(refused.startLine).toContain('488');
    const callId = refused.header('call-id');
    const [first] = await failed();
    expect(first).toMatchObject({
      participantId: asking.id,
      deviceId: callId,
      status: 488,
      reason: isDirect
        ? 'The phone offers no supported audio codec; supported are opus, G722, PCMU, PCMA.'
        : 'FreeSWITCH cannot use any of the offered media.',
      codecs: ['G729', 'iLBC'],
    });
    await receiver.event('onCallFailed', asking.id);
    expect(receiver.received).toMatchObject([
      { event: 'onCallFailed', deviceId: callId, status: 488, codecs: ['G729', 'iLBC'] },
    ]);
    const line = await gateway.waitForLog(({ msg }) => msg === 'Call failed.');
    expect(line).toMatchObject({ participantId: asking.id, callId, status: 488 });
    expect(await failed(new Rest(gateway, OTHER_ACCOUNT))).toEqual([]);
  });

  it('is among the calls, with its SIP messages, as one is that was answered', async () => {
    const calls = async (query: string): Promise<readonly ListedCall[]> =>
      ((await rest.request('GET', `/calls?${query}`)) as { items: ListedCall[] }).items;
    const [refused] = await calls(`participantId=${asking.id}`);
    expect(refused).toMatchObject({
      state: 'failed',
      status: 488,
      advice: expect.stringContaining('PATCHBAY_PHONE_CODECS') as string,
    });
    // drachtio-server acknowledges for the application.
    await expect
      .poll(() => ladderOf(rest, refused!.deviceId))
      .toEqual(['in  INVITE', 'out 488 INVITE', ...(isEmbedded ? ['in  ACK'] : [])]);

    const member = await rest.member(session);
    const call = await placeCall({ sipPort: gateway.sipPort, token: member.token, tone: 440 });
    await call.final();
    const [live] = await calls(`participantId=${member.id}`);
    expect(live).toMatchObject({ state: 'live', kind: 'phone', received: { codecs: ['PCMU'] } });
    await rest.disconnectDevice(member.id);
    await call.end();
    await expect.poll(() => calls(`participantId=${member.id}&state=ended`)).toHaveLength(1);
    await expect
      .poll(() => ladderOf(rest, live!.deviceId))
      .toEqual(['in  INVITE', 'out 200 INVITE', 'in  ACK', 'out  BYE', 'in 200 BYE']);
    const text = JSON.stringify(await rest.request('GET', tracePath(live!.deviceId)));
    expect(text).toContain('***');
    expect(text).not.toContain(member.token);
    await expect(new Rest(gateway, OTHER_ACCOUNT).request('GET', tracePath(live!.deviceId))).rejects.toThrow(
      '404',
    );
  });

  it('for a participant that is in a call is listed too; for nobody it is not', async () => {
    const busy = await rest.member(session, { callbackUrl: receiver.url });
    const call = await placeCall({ sipPort: gateway.sipPort, token: busy.token, tone: 440 });
    try {
      await call.final();
      await placeRefusedCall({ sipPort: gateway.sipPort, token: busy.token });
      expect((await failed())[0]).toMatchObject({ participantId: busy.id, status: 486 });
      const before = (await failed()).length;
      await placeRefusedCall({ sipPort: gateway.sipPort, token: `${busy.token}x` });
      expect(await failed()).toHaveLength(before);
    } finally {
      await call.end();
    }
    // Only those who ask are told.
    expect(receiver.events(busy.id)).not.toContain('onCallFailed');
  });

  it('leaves usage to those that were answered, which can be found by participant and by Call-ID', async () => {
    const { items } = (await rest.request('GET', '/usage')) as {
      items: { participantId: string; deviceId: string }[];
    };
    expect(items).toHaveLength(2);
    const [{ participantId, deviceId } = { participantId: '', deviceId: '' }] = items;
    for (const filter of [`participantId=${participantId}`, `deviceId=${encodeURIComponent(deviceId)}`]) {
      expect(await rest.request('GET', `/usage?${filter}`)).toMatchObject({
        items: [{ participantId, deviceId }],
      });
    }
    for (const filter of [`participantId=${asking.id}`, 'deviceId=none']) {
      expect(await rest.request('GET', `/usage?${filter}`)).toMatchObject({ items: [], totals: [] });
    }
  });
});
