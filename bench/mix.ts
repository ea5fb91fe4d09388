/**
 * What a phone costs the media plane every 20 ms: receiving and forwarding its packet, and mixing, encoding and sending
 * what it hears of several talkers. Compared, in the same run, with a bare echo of as many sockets, with one that sends by a
 * clock, as whatever mixes has to, with installed rivals, and with phones at another address than announced, whose sockets
 * are not connected. Also measures the delay that mixing adds on a clean link, and the heap used for each packet. Then
 * sessions in which all hear each other, where there is more and less to share. With BENCH_BEFORE, a folder with another
 * checkout (and its node_modules), its media plane runs too.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { BenchCodec, Contestant, Scene } from './mix/contestant.js';
import { freeswitchConference } from './mix/freeswitch.js';
import { janus } from './mix/janus.js';
import { Load } from './mix/load.js';
import { clockedEcho, echo, foundPhones, mediaPlane, mediaPlaneBefore } from './mix/own.js';
import { median } from './median.js';
import { processorSeconds } from './process-time.js';

/** By then nearly all is compiled (after 4 s V8 still took 5 µs a packet for it), and encoders are shared that are. */
const WARM_UP_SECONDS = 10;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 6);
const TURNS = Number(process.env['BENCH_TURNS'] ?? 3);
/** Share of a core that may be used before calls suffer. */
const USABLE = 0.7;

const heard: Scene = {
  name: 'each hears 4 talkers',
  phones: Number(process.env['BENCH_PHONES'] ?? 50),
  talkers: 4,
  talk: 'marks',
};
/** Sessions in which all hear each other: where there is nothing to share, and where there is much. */
const sessions: readonly Scene[] = [
  { name: 'sessions of 2 that talk in turns', phones: 40, session: 2, talk: 'turns' },
  { name: 'sessions of 5 that talk in turns', phones: 40, session: 5, talk: 'turns' },
  { name: 'sessions of 20 that talk in turns', phones: 40, session: 20, talk: 'turns' },
  { name: '20 who all talk', phones: 20, session: 20, talk: 'all' },
];

interface Turn {
  /** Processor time for each phone and 20 ms. */
  readonly us: number;
  readonly returned: number;
  readonly delays: readonly number[];
}

async function measure({ carry }: Contestant, scene: Scene, codec: BenchCodec): Promise<Turn> {
  const load = await Load.open(scene, codec);
  const { pid, ports, stop } = await carry({ peerPorts: load.ports, scene, codec });
  await load.run(ports, WARM_UP_SECONDS);
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

async function compare(contestants: readonly Contestant[], scene: Scene, codec: BenchCodec): Promise<void> {
  const turns = new Map<Contestant, Turn[]>(contestants.map((contestant) => [contestant, []]));
  for (let turn = 0; turn < TURNS; turn += 1) {
    for (const [contestant, own] of turns) own.push(await measure(contestant, scene, codec));
  }
  console.log(`${codec}: ${scene.phones} phones, ${scene.name}, ${TURNS} turns of ${SECONDS} s`);
  const echoUs = median(turns.get(echo)!.map(({ us }) => us));
  for (const [{ name }, own] of turns) report(name, own, echoUs);
}

const rivals = [freeswitchConference, janus];
const before = mediaPlaneBefore ? [mediaPlaneBefore] : [];
/** What is asked for: codecs, or `sessions`; all without a word. */
const wanted = process.argv.slice(2);
const isWanted = (what: string): boolean => wanted.length === 0 || wanted.includes(what);
for (const { name, missing } of rivals) if (missing !== undefined) console.log(`${name} skipped: ${missing}`);
console.log('processor time for each phone and 20 ms; delay from one phone to another:');
for (const codec of ['PCMU', 'G722', 'opus'] as const) {
  const contestants = [echo, clockedEcho, mediaPlane, ...before, foundPhones, ...rivals].filter(
    ({ codecs, missing }) => missing === undefined && codecs.includes(codec),
  );
  if (isWanted(codec)) await compare(contestants, heard, codec);
}
if (isWanted('sessions')) {
  for (const scene of sessions) await compare([echo, mediaPlane, ...before], scene, 'PCMU');
}
console.log(`heap used for each packet, in or out: ${(await allocation()).toFixed(0)} bytes`);
