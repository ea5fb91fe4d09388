import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Bystander, type Disturbance, OTHER_ACCOUNT, TWO_ACCOUNTS } from '../support/bystander.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { fillUsage } from '../support/many-records.js';
import { readMetrics } from '../support/metrics.js';
import { DEVELOPMENT_ACCOUNT, Rest } from '../support/rest.js';
import { until } from '../support/until.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const RECORDS = 60_000;
const MONTH = { from: Date.parse('2026-01-01'), to: Date.parse('2026-02-01') };
/** Reading all of them at once would block the gateway's main thread for longer. */
const BUSY_MS = 400;

let dataDir: string;
let gateway: TestGateway;
let bystander: Bystander;
let rest: Rest;
let idle: Disturbance;

const start = () =>
  startGateway({
    dataDir,
    env: {
      ...TWO_ACCOUNTS,
      PATCHBAY_ACCOUNT_MEMORY_MB: '24',
      PATCHBAY_API_RATE: '0',
      PATCHBAY_LOG_LEVEL: 'info',
    },
  });

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-tenants-'));
  await fillUsage(dataDir, { account: DEVELOPMENT_ACCOUNT.id, count: RECORDS, ...MONTH });
  gateway = await start();
  rest = new Rest(gateway);
  bystander = await Bystander.start(gateway);
  idle = await bystander.during(() => new Promise((resolve) => setTimeout(resolve, 2_000)));
});

afterAll(async () => {
  await gateway.stop();
  rmSync(dataDir, { recursive: true });
});

/** Others are disturbed no more than at the idle gateway, apart from what the machine does. */
function expectUndisturbed(disturbance: Disturbance): void {
  const { elapsedMs, longestBusyMs, longestGapMs, packetsLost } = disturbance;
  const tolerated = idle.packetsLost + BUSY_MS / 20 + (0.02 * elapsedMs) / 20;
  expect(longestBusyMs, JSON.stringify({ disturbance, idle })).toBeLessThan(idle.longestBusyMs + BUSY_MS);
  expect(longestGapMs, JSON.stringify({ disturbance, idle })).toBeLessThan(idle.longestGapMs + BUSY_MS);
  expect(packetsLost, JSON.stringify({ disturbance, idle })).toBeLessThan(tolerated);
}

const authorization = `Basic ${Buffer.from('patchbay:patchbay').toString('base64')}`;
const ask = (path: string) =>
  fetch(`${gateway.httpUrl}/v1/accounts/${DEVELOPMENT_ACCOUNT.id}${path}`, { headers: { authorization } });

/** The gateway's child that reads usage. */
function readers(): number[] {
  const all = execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' }).split('\n');
  return all
    .filter((line) => line.includes('usage-reader/main.js') && line.includes(dataDir))
    .map((line) => Number.parseInt(line, 10));
}

it('reports of a month of many records delay nobody, however many are requested', async () => {
  const month = '/usage?from=2026-01-01&to=2026-02-01';
  const csv = { lines: 0 };
  const disturbance = await bystander.during(async () => {
    const download = ask(`${month}&format=csv`).then(async (response) => {
      csv.lines = (await response.text()).split('\r\n').length - 1;
    });
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(`${month}&limit=1000`)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(2);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(2);
    const report = (await answers.find(({ status }) => status === 200)!.json()) as {
      items: unknown[];
      totals: { connections: number }[];
      next: string;
    };
    expect(report.items).toHaveLength(1_000);
    expect(report.totals.reduce((sum, { connections }) => sum + connections, 0)).toBe(RECORDS);
    const second = await (await ask(`${month}&limit=1000&cursor=${report.next}`)).json();
    expect(second).toMatchObject({ totals: report.totals });
    await download;
  });
  expect(csv.lines).toBe(RECORDS + 1);
  expectUndisturbed(disturbance);
  await bystander.stillHears();
});

it('a download that nobody reads does not delay the reports of others', async () => {
  const socket = connect(gateway.httpPort, '127.0.0.1');
  socket.write(
    `GET /v1/accounts/${DEVELOPMENT_ACCOUNT.id}/usage?format=csv HTTP/1.1\r\nHost: x\r\n` +
      `Authorization: ${authorization}\r\n\r\n`,
  );
  await once(socket, 'readable');
  socket.pause();
  const others = new Rest(gateway, OTHER_ACCOUNT);
  expect(await others.request('GET', '/usage')).toMatchObject({ items: [{}, {}] });
  socket.destroy();
});

it('the reader has none of the gateway’s sockets, and only the database open', () => {
  const links = (pid: number): string[] =>
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const path = `/proc/${pid}/fd/${fd}`;
      return existsSync(path) || fd === '0' ? [readlinkSync(path)] : [];
    });
  const [reader, ...more] = readers();
  expect(more).toEqual([]);
  const ours = links(gateway.pid).filter((link) => /^(socket|pipe):/.test(link));
  expect(links(reader!).filter((link) => ours.includes(link))).toEqual([]);
  const files = links(reader!).filter((link) => link.startsWith('/') && !link.startsWith('/dev/'));
  expect(files.filter((file) => !file.startsWith(join(dataDir, 'patchbay.db')))).toEqual([]);
});

it('an account may fill its memory, and list it, without disturbing others', async () => {
  const aliases = Array.from({ length: 240 }, (_, n) => `${n}`.padEnd(240, '.'));
  const participants = [0, 80, 160].map((at) => ({
    participantId: `${at}`,
    streamAliases: aliases.slice(at, at + 80),
  }));
  let refused: string | undefined;
  const disturbance = await bystander.during(async () => {
    refused = await overflow(participants);
    const pages = await Promise.all(Array.from({ length: 16 }, () => ask('/participants?limit=1000')));
    for (const page of pages) {
      const text = await page.text();
      expect(page.status).toBe(200);
      expect(Buffer.byteLength(text)).toBeLessThan(1_050_000);
    }
  });
  expect(refused).toContain('429');
  expectUndisturbed(disturbance);
  const metrics = await readMetrics(gateway);
  expect(metrics.get('patchbay_state_bytes')).toBeLessThan(26_000_000);
  expect(metrics.get('patchbay_state_refused_total')).toBeGreaterThan(0);
  await new Rest(gateway, OTHER_ACCOUNT).participant();
  await bystander.stillHears();
});

/** Members of further sessions, until one is refused. */
async function overflow(participants: readonly { participantId: string; streamAliases: string[] }[]) {
  for (;;) {
    const session = await rest.session();
    for (let member = 0; member < 20; member += 1) {
      try {
        await rest.member(session, { subscriptions: { participants } });
      } catch (error) {
        return String(error);
      }
    }
  }
}

it("an account's webhooks to servers that never answer delay nobody else's", async () => {
  const hanging: Server[] = Array.from({ length: 8 }, () => createServer(() => undefined));
  const receiver = await WebhookReceiver.start();
  for (const server of hanging) await once(server.listen(0, '127.0.0.1'), 'listening');
  const urls = hanging.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const page = async (account: Rest, callbackUrl: string) => {
    const { token, id } = await account.participant({ callbackUrl });
    const socket = new WebSocket(
      `${gateway.wsUrl}/v3/?token=${token}&client=browser&sdkVersion=0.12.0&uniqueId=${id}`,
    );
    await once(socket, 'open');
    socket.send('{"jsonrpc":"2.0","id":1,"method":"setMediaPreferences","params":{"protocol":"WEBRTC"}}');
    return { socket, id };
  };
  // Room for these participants.
  const { items } = (await rest.request('GET', '/participants?limit=50')) as { items: { id: string }[] };
  for (const { id } of items) await rest.deleteParticipant(id);
  const pages: WebSocket[] = [];
  for (let n = 0; n < 64; n += 1) pages.push((await page(rest, urls[n % urls.length]!)).socket);
  const { socket, id } = await page(new Rest(gateway, OTHER_ACCOUNT), receiver.url);
  await receiver.event('onConnect', id);
  // The first attempts at the other servers have not timed out yet.
  const metrics = await readMetrics(gateway);
  expect(metrics.get('patchbay_webhooks_total{outcome="failed_attempt"}')).toBe(0);
  expect(metrics.get('patchbay_webhooks_waiting')).toBeGreaterThanOrEqual(32);
  for (const open of [...pages, socket]) open.close();
  for (const server of hanging) {
    server.closeAllConnections();
    server.close();
  }
  receiver.close();
});

it('the reader ends with the gateway: when that is killed during a report, and when it stops', async () => {
  await bystander.end();
  expect((await ask('/usage?limit=1')).status).toBe(200);
  const [reader] = readers();
  const asked = ask('/usage?limit=1').catch(() => undefined);
  await gateway.kill();
  await asked;
  await until('the reader to be gone', () => !existsSync(`/proc/${reader}`), { withinMs: 20_000 });
  gateway = await start();
  expect((await ask('/usage?limit=1')).status).toBe(200);
  expect(readers()).toHaveLength(1);
  await gateway.stop();
  expect(readers()).toEqual([]);
});
