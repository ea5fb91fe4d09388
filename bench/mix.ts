/**
 * What a phone costs the media plane every 20 ms: receiving and forwarding its packet, and mixing, encoding and sending
 * what it hears of several talkers. Compared, in the same run, with a bare echo of as many sockets, with installed rivals,
 * and with phones at another address than announced, whose sockets are not connected. Also measures the delay that mixing
 * adds on a clean link, and the heap used for each packet.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { BenchCodec, Contestant } from './mix/contestant.js';
import { freeswitchConference } from './mix/freeswitch.js';
import { janus } from './mix/janus.js';
import { Load } from './mix/load.js';
import { echo, foundPhones, mediaPlane } from './mix/own.js';
import { median } from './median.js';
import { processorSeconds } from './process-time.js';

const PHONES = Number(process.env['BENCH_PHONES'] ?? 50);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 6);
const TALKERS = 4;
const TURNS = 3;
/** Share of a core that may be used before calls suffer. */
const USABLE = 0.7;

interface Turn {
  /** Processor time for each phone and 20 ms. */
  readonly us: number;
  readonly returned: number;
  readonly delays: readonly number[];
}

async function measure({ carry }: Contestant, codec: BenchCodec): Promise<Turn> {
  const load = await Load.open(PHONES, codec);
  const { pid, ports, stop } = await carry({ peerPorts: load.ports, talkers: TALKERS, codec });
  await load.run(ports, 1); // Warm-up.
  load.sent = 0;
  load.received = 0;
  load.delays.length = 0;
  const before = processorSeconds(pid);
  await load.run(ports, SECONDS);
  const us = (processorSeconds(pid) - before) * 1e6;
  const { sent, received, delays } = load;
  load.close();
  await stop();
  return { us: us / sent, returned: received / sent, delays };
}

async function allocation(): Promise<number> {
  const child = fork(new URL('mix/allocation.ts', import.meta.url), {
    execArgv: [...process.execArgv, '--expose-gc', '--max-semi-space-size=512', '--min-semi-space-size=512'],
  });
  const [{ bytesPerPacket }] = (await once(child, 'message')) as [{ bytesPerPacket: number }];
  return bytesPerPacket;
}

function report(name: string, turns: readonly Turn[], echoUs: number): void {
  const us = median(turns.map((turn) => turn.us));
  const delays = turns.flatMap((turn) => turn.delays);
  const figures = [
    `${us.toFixed(1).padStart(5)} µs (${(us / echoUs).toFixed(2)} times the echo)`,
    `${Math.floor((USABLE * 20_000) / us)} phones on a core at ${USABLE * 100} %`,
    `${(100 * median(turns.map(({ returned }) => returned))).toFixed(1)} % of packets back`,
  ];
  if (delays.length > 0) {
    figures.push(
      `delay ${median(delays).toFixed(0)} ms median, ${Math.max(...delays).toFixed(0)} ms at most`,
    );
  }
  console.log(`  ${name.padEnd(18)}${figures.join(', ')}`);
}

const rivals = [freeswitchConference, janus];
for (const { name, missing } of rivals) if (missing !== undefined) console.log(`${name} skipped: ${missing}`);
for (const codec of ['PCMU', 'G722'] as const) {
  const contestants = [echo, mediaPlane, foundPhones, ...rivals].filter(
    ({ codecs, missing }) => missing === undefined && codecs.includes(codec),
  );
  const turns = new Map<Contestant, Turn[]>(contestants.map((contestant) => [contestant, []]));
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [contestant, own] of turns) own.push(await measure(contestant, codec));
  }
  console.log(`${codec}: ${PHONES} phones, each hears ${TALKERS} talkers, ${TURNS} turns of ${SECONDS} s`);
  console.log('  processor time for each phone and 20 ms; delay from one phone to another:');
  const echoUs = median(turns.get(echo)!.map(({ us }) => us));
  for (const [{ name }, own] of turns) report(name, own, echoUs);
}
console.log(`heap used for each packet, in or out: ${(await allocation()).toFixed(0)} bytes`);
