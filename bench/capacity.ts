/**
 * How many phones one media host carries without a late frame, and how many two carry, each host on a core of its own. The
 * phones take processor time too: each core also has the process that plays as many phones as its host carries, with one
 * host as with two, so that both counts are of the same kind. The second is to be twice the first.
 */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { BenchGateway } from './hosts/bench-gateway.js';
import type { GeneratorOrder } from './hosts/generator.js';
import { median } from './median.js';
import { onCore } from './sip/cores.js';

const TURNS = Number(process.env['BENCH_TURNS'] ?? 3);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 2);
/** Phones for each host at first, and more in each step. */
const FIRST = Number(process.env['BENCH_PHONES'] ?? 200);
const STEP = 20;
/** Phones in a session; each hears all others. */
const IN_SESSION = 5;
const WARM_UP_S = 4;

class Generator {
  readonly #child: ChildProcess;

  constructor(core: number) {
    const [execPath, execArgv] = onCore(core, process.execPath, process.execArgv);
    this.#child = fork(new URL('hosts/generator.ts', import.meta.url), { execPath, execArgv });
  }

  async ask(order: GeneratorOrder): Promise<number[]> {
    this.#child.send(order);
    const [ports] = (await once(this.#child, 'message')) as [number[]];
    return ports;
  }

  stop(): void {
    this.#child.kill();
  }
}

/** @returns the largest number of phones that were carried without a late frame */
async function capacity(hosts: number): Promise<number> {
  const gateway = await BenchGateway.start(hosts);
  gateway.pids.forEach((pid, core) => spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)]));
  const generators = gateway.pids.map((_, core) => new Generator(core));
  const open = async (phones: number): Promise<void> => {
    for (const generator of generators) {
      const ports = await gateway.open(await generator.ask({ type: 'open', phones }), IN_SESSION);
      await generator.ask({ type: 'join', ports });
    }
  };
  /** @returns frames that came too late meanwhile */
  const run = async (seconds: number): Promise<number> => {
    const before = await gateway.late();
    await Promise.all(generators.map((generator) => generator.ask({ type: 'run', seconds })));
    await pause(1_000); // Hosts tell of late frames twice a second.
    return (await gateway.late()) - before;
  };
  try {
    await open(FIRST);
    await run(WARM_UP_S);
    let carried = 0;
    // A step is tried twice, since the machine itself may have held up the first.
    for (let phones = FIRST; (await run(SECONDS)) === 0 || (await run(SECONDS)) === 0; phones += STEP) {
      carried = phones * hosts;
      await open(STEP);
    }
    return carried;
  } finally {
    for (const generator of generators) generator.stop();
    await gateway.stop();
  }
}

const counts = new Map<number, number[]>([1, 2].map((hosts) => [hosts, []]));
for (let turn = 0; turn < TURNS; turn += 1)
  for (const [hosts, own] of counts) own.push(await capacity(hosts));
console.log(`PCMU, each phone hears ${IN_SESSION - 1} talkers, ${TURNS} turns, steps of ${SECONDS} s`);
const one = median(counts.get(1)!);
for (const [hosts, own] of counts) {
  const phones = median(own);
  console.log(
    `  ${hosts} media host${hosts === 1 ? ' ' : 's'}  ${phones} phones without a late frame (${own.join(', ')}), ` +
      `${(phones / one).toFixed(2)} times one host’s`,
  );
}
