/**
 * How a report over a month of a million records affects other accounts: the sound of a phone, and the time of writes,
 * compared with an idle gateway in the same run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Bystander, type Disturbance, OTHER_ACCOUNT, TWO_ACCOUNTS } from '../test/support/bystander.js';
import { startGateway, type TestGateway } from '../test/support/gateway.js';
import { fillUsage } from '../test/support/many-records.js';
import { DEVELOPMENT_ACCOUNT, Rest } from '../test/support/rest.js';

const RECORDS = Number(process.env['BENCH_RECORDS'] ?? 1_000_000);
const MONTH = { from: Date.parse('2026-01-01'), to: Date.parse('2026-02-01') };
const IDLE_MS = 10_000;
const BETWEEN_WRITES_MS = 50;

interface Writes {
  readonly ms: number[];
}

/** Another account's writes, one after the other, until told to end. */
async function writing(gateway: TestGateway, work: () => Promise<unknown>): Promise<Writes> {
  const others = new Rest(gateway, OTHER_ACCOUNT);
  const ms: number[] = [];
  const end = new AbortController();
  const writes = (async () => {
    while (!end.signal.aborted) {
      const startedAt = performance.now();
      await others.session();
      ms.push(performance.now() - startedAt);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_WRITES_MS));
    }
  })();
  await work();
  end.abort();
  await writes;
  return { ms: ms.sort((one, other) => one - other) };
}

function show(what: string, disturbance: Disturbance, { ms }: Writes): void {
  const { elapsedMs, packetsLost, longestGapMs, longestBusyMs } = disturbance;
  const at = (part: number): string => (ms[Math.floor(part * (ms.length - 1))] ?? Number.NaN).toFixed(1);
  console.log(
    `${what}: ${(elapsedMs / 1000).toFixed(1)} s; a phone lost ${packetsLost} packets, longest gap ` +
      `${longestGapMs.toFixed(0)} ms; event loop late by ${longestBusyMs.toFixed(0)} ms at most; ` +
      `${ms.length} writes of another account: p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)} ms`,
  );
}

const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-bench-usage-'));
try {
  await fillUsage(dataDir, { account: DEVELOPMENT_ACCOUNT.id, count: RECORDS, ...MONTH });
  const gateway = await startGateway({
    dataDir,
    env: { ...TWO_ACCOUNTS, PATCHBAY_LOG_LEVEL: 'info' },
    keepLog: false,
  });
  const bystander = await Bystander.start(gateway, 600);
  const rest = new Rest(gateway);
  const measure = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    let writes: Writes = { ms: [] };
    const disturbance = await bystander.during(async () => (writes = await writing(gateway, work)));
    show(what, disturbance, writes);
  };
  const month = '/usage?from=2026-01-01&to=2026-02-01&limit=1000';
  await measure('idle', () => new Promise((resolve) => setTimeout(resolve, IDLE_MS)));
  await measure(`a report of ${RECORDS} records`, () => rest.request('GET', month));
  await measure('two at once, and ten more pages of them', async () => {
    const [report] = await Promise.all([rest.request('GET', month), rest.request('GET', month)]);
    let { next } = report as { next?: string };
    for (let page = 0; page < 10 && next !== undefined; page += 1) {
      ({ next } = (await rest.request('GET', `${month}&cursor=${next}`)) as { next?: string });
    }
  });
  await measure('idle again', () => new Promise((resolve) => setTimeout(resolve, IDLE_MS)));
  await bystander.end();
  await gateway.stop();
} finally {
  rmSync(dataDir, { recursive: true });
}
