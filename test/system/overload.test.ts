import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import { launchChromium, type TestBrowser } from '../support/chromium.js';
import { type LogLine, startGateway, type TestGateway } from '../support/gateway.js';
import { type Member, openMember } from '../support/member.js';
import { readMetrics } from '../support/metrics.js';
import { embedded, isEmbedded } from '../support/phone-room.js';
import { Rest } from '../support/rest.js';
import { Caller, type HeardMessage, SipPeer } from '../support/sip-peer.js';
import { phoneOffer, placeCall, type SippCall } from '../support/sipp.js';
import { SocketProxy } from '../support/socket-proxy.js';
import { until } from '../support/until.js';

const BEGINS = 'overload: new calls are refused';
const ENDS = 'overload is over';
const REFUSALS = (kind: string): string =>
  `patchbay_admission_refusals_total{kind="${kind}",cause="max_calls"}`;

const openers: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of openers.reverse()) await close();
});

async function gatewayWith(env: Record<string, string>): Promise<TestGateway> {
  const gateway = await startGateway({ env });
  openers.push(() => gateway.stop());
  return gateway;
}

async function peerOf(gateway: TestGateway, host?: string): Promise<SipPeer> {
  const peer = await SipPeer.udp({ host: '127.0.0.1', port: gateway.sipPort }, host);
  openers.push(() => peer.close());
  return peer;
}

const invite = (peer: SipPeer, host?: string, token?: string): { caller: Caller; text: string } => {
  const caller = new Caller(peer, 'UDP', host);
  const headers = token === undefined ? [] : [`User-to-User: ${token};encoding=jwt`];
  return { caller, text: caller.request('INVITE', 1, { headers, body: phoneOffer(40_000) }) };
};

const answersTo = (peer: SipPeer, { callId }: Caller): HeardMessage[] =>
  peer.heard.filter((message) => message.header('call-id')[0] === callId);

const logged = (gateway: TestGateway, text: string): number =>
  gateway.log.filter(({ msg }) => msg === text).length;

async function readiness(gateway: TestGateway): Promise<string> {
  const response = await fetch(`${gateway.httpUrl}/readyz`);
  const { status } = (await response.json()) as { status: string };
  return `${String(response.status)} ${status}`;
}

describe('a gateway with all its places taken', () => {
  let gateway: TestGateway;
  let rest: Rest;
  let bystander: Bystander;
  let own: SippCall;
  let chrome: TestBrowser;
  let peer: SipPeer;
  let proxy: SocketProxy;
  let inside: Member;

  beforeAll(async () => {
    gateway = await gatewayWith({ ...TWO_ACCOUNTS, PATCHBAY_MAX_CALLS: '4' });
    rest = new Rest(gateway);
    chrome = await launchChromium();
    openers.push(() => chrome.close());
    proxy = await SocketProxy.start(gateway.wsUrl);
    openers.push(() => proxy.stop());
    peer = await peerOf(gateway);
    const session = await rest.session();
    inside = await openMember({ gateway, chrome, gatewayUrl: proxy.url }, session, '0.12');
    bystander = await Bystander.start(gateway);
    openers.push(() => bystander.end());
    const { token } = await rest.member(session);
    own = await placeCall({
      sipPort: gateway.sipPort,
      token,
      then: (steps, port) =>
        steps
          .expect(200)
          .ack()
          .waitForCue()
          .request('INVITE', { body: phoneOffer(port, { version: 2 }) })
          .expect(200)
          .ack()
          .waitForCue()
          .bye(),
    });
    openers.push(() => own.end());
  });

  it('refuses a call with 503 and Retry-After, without 100, and a repeat of it alike', async () => {
    const { caller, text } = invite(peer);
    peer.send(text);
    const refusal = await peer.final();
    expect(refusal.status).toBe(503);
    expect(Number(refusal.header('retry-after')[0])).toBeGreaterThan(0);
    expect(refusal.header('reason')[0]).toContain('limit');
    peer.send(text);
    const again = await peer.final();
    expect(again.status).toBe(503);
    expect(again.header('to')).toEqual(refusal.header('to'));
    caller.learn(refusal);
    peer.send(caller.request('ACK', 1, { branch: /branch=([^;\r]+)/.exec(text)![1]! }));
    const statuses = answersTo(peer, caller).map(({ status }) => status);
    // drachtio-server has said 100 before the gateway hears of the call.
    expect(statuses.filter((status) => isEmbedded || status !== 100)).toEqual([503, 503]);
    if (!isEmbedded) return;
    // There is no transaction for it; the ACK is recognised all the same.
    const metrics = await readMetrics(gateway);
    expect(metrics.get('patchbay_sip_messages_total{kind="droppedStray"}')).toBe(0);
  });

  it('lists a refused call for the account of its token, however often it is repeated', async () => {
    const who = await rest.member(await rest.session());
    type Listed = { participantId: string; deviceId: string };
    const refusedTwice = async (): Promise<Listed[] | undefined> => {
      const { caller, text } = invite(peer, undefined, who.token);
      for (let sent = 0; sent < 2; sent += 1) {
        peer.send(text);
        expect((await peer.final()).status).toBe(503);
      }
      const { items } = (await rest.request('GET', '/calls/failed')) as { items: Listed[] };
      const listed = items.filter(({ deviceId }) => deviceId === caller.callId);
      return listed.length > 0 ? listed : undefined;
    };
    // The calls of the tests before may have used up those that are looked up in a second.
    const listed = await until('a call in the list', refusedTwice, { withinMs: 20_000, everyMs: 500 });
    expect(listed).toMatchObject([
      { participantId: who.id, status: 503, reason: 'The gateway is at its limit.' },
    ]);
    const isFailed = ({ msg, callId }: LogLine): boolean =>
      msg === 'Call failed.' && callId === listed[0]!.deviceId;
    await gateway.waitForLog(isFailed);
    expect(gateway.log.filter(isFailed)).toMatchObject([{ participantId: who.id, status: 503 }]);
  });

  it('serves requests within calls', async () => {
    await own.cue();
    await own.answerTo('INVITE', 2);
    await bystander.stillHears();
  });

  it('lets a page back to its device', async () => {
    const device = await rest.device(inside.who.id);
    const { connections } = proxy;
    proxy.cut();
    await until('a new socket', () => proxy.connections > connections, { withinMs: 20_000 });
    await inside.page.publishTone(440);
    expect((await rest.device(inside.who.id)).id).toBe(device.id);
  });

  it('reports lasting overload by /readyz, and once in its log', async () => {
    await until(
      '/readyz to say so',
      async () => {
        peer.send(invite(peer).text);
        return (await readiness(gateway)) === '503 overloaded';
      },
      { withinMs: 25_000, everyMs: 500 },
    );
    const metrics = await readMetrics(gateway);
    expect(metrics.get('patchbay_overloaded')).toBe(1);
    expect(metrics.get(REFUSALS('phone'))).toBeGreaterThan(10);
    expect(logged(gateway, BEGINS)).toBe(1);
  });

  it('admits another page when there is room, and is ready again', async () => {
    const who = await rest.member(await rest.session());
    const opening = chrome.openClient({ gatewayUrl: gateway.wsUrl, token: who.token });
    await until(
      'the page to try again',
      async () => (await readMetrics(gateway)).get(REFUSALS('page'))! >= 3,
      {
        withinMs: 20_000,
      },
    );
    await own.hangUp();
    const page = await opening;
    await page.publishTone(880);
    await gateway.waitForLog(({ msg }) => msg === ENDS, 20_000);
    expect(await readiness(gateway)).toBe('200 ready');
    expect((await readMetrics(gateway)).get('patchbay_overloaded')).toBe(0);
    expect([logged(gateway, BEGINS), logged(gateway, ENDS)]).toEqual([1, 1]);
    await bystander.stillHears();
  });
});

describe('a gateway that may take three calls a second', () => {
  let gateway: TestGateway;
  let peer: SipPeer;

  beforeAll(async () => {
    gateway = await gatewayWith({ PATCHBAY_MAX_CALLS_PER_SECOND: '3' });
    peer = await peerOf(gateway);
  });

  it('refuses more with 503, and accepts calls again in the next second', async () => {
    // Without a token: an admitted call gets 403.
    const sent = Array.from({ length: 60 }, () => invite(peer));
    for (const { text } of sent) peer.send(text);
    const answers = await until(
      'all answers',
      () => {
        const finals = sent.map(({ caller }) => answersTo(peer, caller).find(({ status }) => status >= 200));
        return finals.every((final) => final !== undefined) && finals;
      },
      { withinMs: 20_000 },
    );
    const refused = answers.filter(({ status }) => status === 503);
    // A machine that is slow takes a second or two for this.
    expect(60 - refused.length).toBeGreaterThanOrEqual(3);
    expect(60 - refused.length).toBeLessThan(30);
    expect(refused.every((answer) => Number(answer.header('retry-after')[0]) > 0)).toBe(true);
    for (const { caller } of isEmbedded ? sent : []) {
      const statuses = answersTo(peer, caller).map(({ status }) => status);
      expect(statuses.includes(503) && statuses.includes(100)).toBe(false);
    }
    expect(logged(gateway, BEGINS)).toBe(1);
    const next = await peerOf(gateway);
    await until(
      'room',
      async () => {
        next.send(invite(next).text);
        return (await next.final()).status === 403;
      },
      { withinMs: 20_000, everyMs: 300 },
    );
  });
});

describe('a gateway with more INVITEs than it can serve', () => {
  embedded('answers all of them, and serves calls of another address in between', async () => {
    const gateway = await gatewayWith(TWO_ACCOUNTS);
    const bystander = await Bystander.start(gateway);
    openers.push(() => bystander.end());
    const flood = await peerOf(gateway);
    const other = await peerOf(gateway, '127.0.0.2');
    const waves: ReturnType<typeof invite>[] = [];
    for (let wave = 0; wave < 5; wave += 1) {
      const sent = Array.from({ length: 400 }, () => invite(flood));
      for (const { text } of sent) flood.send(text);
      waves.push(...sent);
    }
    const calls = Array.from({ length: 5 }, () => invite(other, '127.0.0.2'));
    for (const { text } of calls) other.send(text);
    const statusOf = (peer: SipPeer, caller: Caller): number | undefined =>
      answersTo(peer, caller).find(({ status }) => status >= 200)?.status;
    await until('the answers', () => calls.every(({ caller }) => statusOf(other, caller) !== undefined), {
      withinMs: 20_000,
    });
    // 403: admitted, but without a token.
    expect(calls.map(({ caller }) => statusOf(other, caller))).toEqual(calls.map(() => 403));
    const counted = new Set(waves.map(({ caller }) => caller.callId));
    const finals = (): HeardMessage[] => flood.heard.filter(({ status }) => status >= 200);
    const answered = await until(
      'answers to the flood',
      () => {
        const ids = new Set(finals().map((message) => message.header('call-id')[0]!));
        return ids.size === counted.size && finals();
      },
      { withinMs: 20_000, everyMs: 200 },
    );
    // How many it can serve meanwhile is the machine's affair.
    const refused = answered.filter(({ status }) => status === 503).length;
    expect(refused).toBeGreaterThan(100);
    const metrics = await readMetrics(gateway);
    expect(metrics.get('patchbay_sip_messages_total{kind="refusedCrowded"}')).toBeGreaterThan(100);
    expect(metrics.get('patchbay_sip_table_size{table="waiting"}')).toBe(0);
    await bystander.stillHears();
    const { token } = await new Rest(gateway).participant();
    const after = await placeCall({ sipPort: gateway.sipPort, token });
    expect((await after.final()).status).toBe(200);
    await after.hangUp();
    await after.end();
  });
});
