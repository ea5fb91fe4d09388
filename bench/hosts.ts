/**
 * What it costs to have several media hosts: their processor time for each phone and 20 ms with one and with two, in turns
 * of the same run; the gateway's part beside it, and frames that came too late. Also what an idle host takes.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { BenchGateway } from './hosts/bench-gateway.js';
import { Load } from './mix/load.js';
import { median } from './median.js';
import { processorSeconds } from './process-time.js';

const PHONES = Number(process.env['BENCH_PHONES'] ?? 200);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4);
const TURNS = 3;
/** Phones in a session; each hears all others. */
const IN_SESSION = 5;
const IDLE_S = 5;
/** Until then much of the time goes into compiling, in each host for itself. */
const WARM_UP_S = 6;

interface Turn {
  /** Processor time of all hosts for each phone and 20 ms. */
  readonly us: number;
  /** Processor time of the gateway's process, as a share of the hosts'. */
  readonly gateway: number;
  readonly late: number;
}

const used = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + processorSeconds(pid), 0);

async function measure(hosts: number): Promise<Turn> {
  const load = await Load.open({ name: 'all hear few', phones: PHONES, talk: 'marks' }, 'PCMU');
  const gateway = await BenchGateway.start(hosts);
  const ports = await gateway.open(load.ports, IN_SESSION);
  await load.run(ports, WARM_UP_S);
  load.sent = 0;
  const before = { hosts: used(gateway.pids), gateway: used([gateway.pid]), late: await gateway.late() };
  await load.run(ports, SECONDS);
  const inHosts = used(gateway.pids) - before.hosts;
  const inGateway = used([gateway.pid]) - before.gateway;
  await pause(1_000); // Hosts tell of late frames twice a second.
  const late = (await gateway.late()) - before.late;
  const { sent } = load;
  load.close();
  await gateway.stop();
  return { us: (inHosts * 1e6) / sent, gateway: inGateway / inHosts, late };
}

/** Proportional set size of a process, in MiB. */
function pss(pid: number): number {
  return Number(/^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))![1]) / 1024;
}

const turns = new Map<number, Turn[]>([1, 2].map((hosts) => [hosts, []]));
for (let turn = 0; turn < TURNS; turn += 1) for (const [hosts, own] of turns) own.push(await measure(hosts));
console.log(`${PHONES} phones, PCMU, each hears ${IN_SESSION - 1} talkers, ${TURNS} turns of ${SECONDS} s`);
const one = median(turns.get(1)!.map(({ us }) => us));
for (const [hosts, own] of turns) {
  const us = median(own.map((turn) => turn.us));
  const share = 100 * median(own.map(({ gateway }) => gateway));
  console.log(
    `  ${hosts} media host${hosts === 1 ? ' ' : 's'}  ${us.toFixed(1)} µs for each phone and 20 ms ` +
      `(${(us / one).toFixed(2)} times one host), gateway ${share.toFixed(1)} % of it, ` +
      `${own.reduce((sum, { late }) => sum + late, 0)} frames too late`,
  );
}
const idle = await BenchGateway.start(2);
await pause(2_000);
const idleBefore = idle.pids.map(processorSeconds);
await pause(IDLE_S * 1_000);
for (const [i, pid] of idle.pids.entries()) {
  const share = ((processorSeconds(pid) - idleBefore[i]!) / IDLE_S) * 100;
  console.log(`  an idle host: ${pss(pid).toFixed(0)} MiB PSS, ${share.toFixed(1)} % of a core`);
}
await idle.stop();
