import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { answerAndReset } from '../../src/shared/testing/stubborn-peer.js';
import { NameServer } from '../../src/shared/testing/name-server.js';
import { Bystander, OTHER_ACCOUNT, TWO_ACCOUNTS } from '../support/bystander.js';
import { ForwardingProxy } from '../support/forwarding-proxy.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { readMetrics, sumOf } from '../support/metrics.js';
import { leave, pageSocket, type PageWay, upgraded } from '../support/page-socket.js';
import { Rest, type TestParticipant } from '../support/rest.js';
import { placeCall, placeRefusedCall, type SippCall } from '../support/sipp.js';
import { withFile, withoutSmallDisk } from '../support/small-disk.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const PROXIES = { 'X-Forwarded-For': '127.0.0.64', Forwarded: '127.0.0.65' } as const;
const NAME_SERVER = '127.0.0.77';
const noMounts = withoutSmallDisk();

const folder = mkdtempSync(join(tmpdir(), 'patchbay-hostile-'));
const closers: (() => unknown)[] = [];
let gateway: TestGateway;
let rest: Rest;
let otherRest: Rest;
let bystander: Bystander;

beforeAll(async () => {
  const resolverFile = join(folder, 'resolv.conf');
  writeFileSync(resolverFile, `nameserver ${NAME_SERVER}\n`);
  gateway = await startGateway({
    env: {
      ...TWO_ACCOUNTS,
      PATCHBAY_TRUSTED_PROXIES: '127.0.0.64/31',
      // Each account may have four of them.
      PATCHBAY_MAX_CALLS: '8',
      PATCHBAY_API_RATE: '0',
      NODE_OPTIONS: `--import=${pathToFileURL(resolve('test/support/set-clock.mjs')).href}`,
    },
    ...(noMounts === undefined && { runBy: withFile(resolverFile, '/etc/resolv.conf') }),
  });
  closers.push(() => gateway.stop());
  rest = new Rest(gateway);
  otherRest = new Rest(gateway, OTHER_ACCOUNT);
  bystander = await Bystander.start(gateway);
  closers.push(() => bystander.end());
});

afterAll(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(folder, { recursive: true });
});

/** Connects a page's device; resolves when its socket is open. A gateway on a busy machine may be overloaded at first. */
function openPage(who: TestParticipant, way: Partial<PageWay> = {}): Promise<WebSocket> {
  return until(
    'room for a page',
    async () => {
      const socket = pageSocket(who.token, { port: gateway.httpPort, ...way });
      const status = await upgraded(socket);
      if (status === 503) return undefined;
      expect(status).toBe(101);
      return socket;
    },
    { withinMs: 20_000 },
  );
}

/** The same for a phone, which is answered. */
function openCall(token: string): Promise<SippCall> {
  return until(
    'room for a call',
    async () => {
      const call = await placeCall({ sipPort: gateway.sipPort, token });
      const { status } = await call.final();
      if (status === 200) return call;
      await call.end();
      expect(status).toBe(503);
      return undefined;
    },
    { withinMs: 20_000 },
  );
}

describe('pages behind a proxy', () => {
  it.each(['X-Forwarded-For', 'Forwarded'] as const)(
    'have limits and log lines of their own by %s',
    async (way) => {
      const proxy = await ForwardingProxy.start(gateway.httpPort, PROXIES[way], way);
      closers.push(() => proxy.stop());
      const [greedy, polite] = way === 'Forwarded' ? ['127.0.3.1', '127.0.3.2'] : ['127.0.3.3', '127.0.3.4'];
      const through = { port: proxy.port };
      // Without a token: the sockets count all the same.
      const statuses = await Promise.all(
        Array.from({ length: 400 }, () => upgraded(pageSocket('none', { ...through, from: greedy }))),
      );
      expect(statuses).toContain(101);
      expect(statuses).toContain(429);
      // The proxy does not pass on the header of the page.
      const headers = { [way]: way === 'Forwarded' ? `for=${greedy}` : greedy };
      const who = await rest.participant();
      const page = await openPage(who, { ...through, from: polite, headers });
      const { address } = await gateway.waitForLog(
        ({ msg, participantId }) => msg === 'browser connected' && participantId === who.id,
      );
      expect(address).toBe(polite);
      expect(gateway.log.some((line) => line['address'] === greedy)).toBe(true);
      expect(gateway.log.filter((line) => line['address'] === PROXIES[way])).toEqual([]);
      await leave(page);
      const path = `/v1/accounts/${polite}`;
      const asked = request({ port: proxy.port, path, localAddress: polite }).end();
      asked.on('response', (answer) => answer.resume());
      await once(asked, 'response');
      expect(await gateway.waitForLog((line) => line['path'] === path)).toMatchObject({ address: polite });
      await bystander.stillHears();
    },
  );

  it('are known by the address of the connection if that is no trusted proxy', async () => {
    const headers = { 'X-Forwarded-For': '127.0.3.9', Forwarded: 'for=127.0.3.9' };
    const who = await rest.participant();
    const page = await openPage(who, { from: '127.0.3.8', headers });
    const line = await gateway.waitForLog(
      ({ msg, participantId }) => msg === 'browser connected' && participantId === who.id,
    );
    expect(line['address']).toBe('127.0.3.8');
    // Claims of other addresses do not get around the limit either.
    const statuses = await Promise.all(
      Array.from({ length: 400 }, (_, i) => {
        const said = { 'X-Forwarded-For': `198.51.100.${i % 250}` };
        return upgraded(pageSocket('none', { port: gateway.httpPort, from: '127.0.3.8', headers: said }));
      }),
    );
    expect(statuses).toContain(429);
    await leave(page);
    await bystander.stillHears();
  });
});

describe('an upgrade that is refused', () => {
  it('leaves nothing open at the gateway, though its client never closes its side', async () => {
    const upgrade = (path: string): string =>
      [
        `GET ${path} HTTP/1.1`,
        'Host: gateway',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        '\r\n',
      ].join('\r\n');
    const descriptors = async (): Promise<number> =>
      (await readMetrics(gateway)).get('patchbay_descriptors{which="open"}')!;
    const before = await descriptors();
    // More than one address may have: some are refused with 429, others for their token.
    const paths = ['/nothing', '/v3/?token=none&client=browser&sdkVersion=0.12.0&uniqueId=x'];
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => answerAndReset(gateway.httpPort, upgrade(paths[i % 2]!))),
    );
    const statuses = new Set(answers.map((answer) => answer.split(' ')[1]));
    expect([...statuses]).toEqual(expect.arrayContaining(['404', '429']));
    await until('few descriptors', async () => (await descriptors()) < before + 20, { withinMs: 20_000 });
    await bystander.stillHears();
  });
});

describe('an offer whose parts multiply', () => {
  it('costs in proportion to its length', async () => {
    const offer = (bytes: number): string => {
      const types = ' 96'.repeat(300);
      const head = `v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF${types}\r\n`;
      const ice = `a=mid:0\r\na=ice-ufrag:abcd\r\na=ice-pwd:${'x'.repeat(24)}\r\n`;
      return head + ice + 'a=rtcp-fb:* nack pli\r\n'.repeat(bytes / 22);
    };
    const who = await rest.participant();
    const page = await openPage(who);
    const answers: string[] = [];
    page.on('message', (data: Buffer) => answers.push(data.toString()));
    const sizes = [50_000, 108_000, 495_000];
    const cpuSeconds = async (): Promise<number> =>
      sumOf(await readMetrics(gateway), 'process_cpu_seconds_total');
    const before = await cpuSeconds();
    for (const id of sizes) {
      const params = { sdpOffer: offer(id), mediaMetadata: {} };
      page.send(JSON.stringify({ jsonrpc: '2.0', id, method: 'offerSdp', params }));
    }
    const ids = () => answers.map((text) => (JSON.parse(text) as { id?: number }).id);
    const hasAll = () => sizes.every((id) => ids().includes(id));
    await until('answers', hasAll, {
      withinMs: 20_000,
      seen: () => Promise.resolve(answers.map((text) => text.slice(0, 200))),
    });
    // It once took 9 s for 108 kB.
    expect((await cpuSeconds()) - before).toBeLessThan(4);
    await leave(page);
    await bystander.stillHears();
  });
});

describe('an account with half of all calls', () => {
  it('gets no more, phone or page, and another account is not affected', async () => {
    const people = await Promise.all(Array.from({ length: 6 }, () => rest.participant()));
    const pages = await Promise.all(people.slice(0, 4).map((who) => openPage(who)));
    const refused = await placeRefusedCall({ sipPort: gateway.sipPort, token: people[4]!.token });
    expect(refused.status).toBe(480);
    expect(Number(refused.header('Retry-After'))).toBeGreaterThan(0);
    expect(refused.header('Reason')).toContain('limit of connected devices');
    const page = await openPage(people[5]!);
    // Anything but 1000: its client tries again.
    expect((await once(page, 'close'))[0]).toBe(1013);
    expect((await readMetrics(gateway)).get('patchbay_devices_refused_total')).toBe(2);

    const { token } = await otherRest.participant();
    const another = await openCall(token);
    await another.hangUp();
    await another.end();

    await leave(pages[0]!);
    await leave(await openPage(people[5]!));
    for (const left of pages.slice(1)) await leave(left);
    expect(await (await fetch(`${gateway.httpUrl}/readyz`)).json()).toMatchObject({ status: 'ready' });
    await bystander.stillHears();
  });
});

describe.skipIf(noMounts !== undefined)(
  `callback URLs whose name servers never answer${noMounts === undefined ? '' : ` (skipped: ${noMounts})`}`,
  () => {
    it('hold up no webhook, no write and no sound of another account', async () => {
      const server = await NameServer.start(NAME_SERVER, 53);
      const webhooks = await WebhookReceiver.start();
      closers.push(
        () => server.stop(),
        () => webhooks.close(),
      );
      server.knows('app.example', ['127.0.0.1']);
      for (let i = 0; i < 20; i += 1) {
        const who = await rest.participant({ callbackUrl: `http://${i}.hanging.example/` });
        await leave(await openPage(who));
      }
      await until('questions for names', () => server.asked.length >= 20, { withinMs: 20_000 });
      const { port } = new URL(webhooks.url);
      for (let i = 0; i < 5; i += 1) {
        const who = await otherRest.participant({ callbackUrl: `http://app.example:${port}/` });
        await leave(await openPage(who));
        // In the time in which one that hangs is asked for once.
        await webhooks.event('onLeave', who.id, 4_000);
      }
      await bystander.stillHears();
    });
  },
);

describe('a clock that is set back', () => {
  interface Listed {
    readonly items: readonly Readonly<Record<string, string | number>>[];
    readonly next?: string;
  }

  async function all(path: string): Promise<Listed['items']> {
    const items: Listed['items'][number][] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ limit: '3', ...(cursor !== undefined && { cursor }) });
      const page = (await rest.request('GET', `${path}?${query.toString()}`)) as Listed;
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== undefined);
    return items;
  }

  it('does not change lists, lengths of calls, or the validity of tokens', async () => {
    const made: TestParticipant[] = [];
    const sessions: string[] = [];
    const member = async (): Promise<void> => {
      sessions.push(await rest.session());
      made.push(await rest.participant({ tag: 'clock' }));
    };
    for (let i = 0; i < 5; i += 1) await member();
    const [caller, page, early] = made as [TestParticipant, TestParticipant, TestParticipant];
    const call = await openCall(caller.token);
    const open = await openPage(page);

    const linesBefore = gateway.log.length;
    const before = Number(gateway.log.at(-1)!['time']);
    process.kill(gateway.pid, 'SIGWINCH');
    await until(
      'log lines of two hours ago',
      async () => {
        await all('/sessions');
        return gateway.log.slice(linesBefore).some(({ time }) => Number(time) < before - 3_600_000);
      },
      { withinMs: 20_000 },
    );
    for (let i = 0; i < 5; i += 1) await member();

    const ids = (items: Listed['items']): unknown[] => items.map(({ id }) => id);
    const [listed, listedSessions] = [ids(await all('/participants')), ids(await all('/sessions'))];
    expect(listed).toEqual([...new Set(listed)]);
    expect(listed).toEqual(expect.arrayContaining(made.map(({ id }) => id)));
    expect(listedSessions).toEqual([...new Set(listedSessions)]);
    expect(listedSessions).toEqual(expect.arrayContaining(sessions));

    await call.hangUp();
    await call.end();
    await leave(open);
    // It was issued at a time that is now in the future.
    await leave(await openPage(early));
    const records = (await all('/usage')).filter(({ participantTag }) => participantTag === 'clock');
    const ofMine = records.map(({ participantId }) => participantId);
    expect(ofMine).toHaveLength(3);
    expect(ofMine).toEqual(expect.arrayContaining([caller.id, page.id, early.id]));
    for (const { startedAt, endedAt, seconds } of records) {
      const length = Date.parse(String(endedAt)) - Date.parse(String(startedAt));
      expect(length).toBeGreaterThanOrEqual(0);
      expect(Number(seconds)).toBeCloseTo(length / 1000, 2);
      expect(Number(seconds)).toBeLessThan(60);
    }
    await bystander.stillHears();
  });
});
