/**
 * What a phone costs the media plane every 20 ms: receiving and forwarding its packet, and mixing, encoding and sending
 * what it hears of several talkers. Compared, in turns, with a bare echo of as many sockets. So are an echo that
 * sends by a clock, as whatever mixes has to, installed rivals, and phones at another address than announced, whose sockets
 * are not connected. Also measures the delay that mixing adds on a clean link, and the heap used for each packet. Then
 * sessions in which all hear each other, where there is more and less to share. With BENCH_BEFORE, a folder with another
 * checkout (and its node_modules), its media plane runs too.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { BenchCodec, Carrier, Contestant, Scene } from './mix/contestant.js';
import { freeswitchConference } from './mix/freeswitch.js';
import { janus } from './mix/janus.js';
import { Load } from './mix/load.js';
import { clockedEcho, echo, foundPhones, mediaPlane, mediaPlaneBefore } from './mix/own.js';
import { median } from './median.js';
import { processorSeconds } from './process-time.js';

/** By then V8 has compiled what it will, and encoders are shared that are. */
const WARM_UP_SECONDS = Number(process.env['BENCH_WARM_UP'] ?? 20);
/** Not measured at the beginning of a turn, since delays and shared encoders are not yet as they stay. */
const LEAD_SECONDS = 2.5;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4);
const TURNS = Number(process.env['BENCH_TURNS'] ?? 5);
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

/** A contestant at work. */
class Entrant {
  readonly #load: Load;
  readonly #carrier: Carrier;

  private constructor(load: Load, carrier: Carrier) {
    this.#load = load;
    this.#carrier = carrier;
  }

  static async start({ carry }: Contestant, scene: Scene, codec: BenchCodec): Promise<Entrant> {
    const load = await Load.open(scene, codec);
    const entrant = new Entrant(load, await carry({ peerPorts: load.ports, scene, codec }));
    await entrant.#run(WARM_UP_SECONDS);
    return entrant;
  }

  /** The delays of all turns together are those of phones that send at all moments of a mixer's clock. */
  async takeTurn(turn: number): Promise<Turn> {
    const load = this.#load;
    const phase = turn / TURNS;
    await this.#run(LEAD_SECONDS, phase);
    load.sent = 0;
    load.received = 0;
    load.delays.length = 0;
    const before = processorSeconds(this.#carrier.pid);
    await this.#run(SECONDS, phase);
    const us = (processorSeconds(this.#carrier.pid) - before) * 1e6;
    return { us: us / load.sent, returned: load.received / load.sent, delays: [...load.delays] };
  }

  async stop(): Promise<void> {
    this.#load.close();
    await this.#carrier.stop();
  }

  #run(seconds: number, phase?: number): Promise<void> {
    return this.#load.run(this.#carrier.ports, seconds, phase);
  }
}

async function allocation(): Promise<number> {
  const child = fork(new URL('mix/allocation.ts', import.meta.url), {
    execArgv: [...process.execArgv, '--expose-gc', '--max-semi-space-size=512', '--min-semi-space-size=512'],
  });
  const [{ bytesPerPacket }] = (await once(child, 'message')) as [{ bytesPerPacket: number }];
  return bytesPerPacket;
}

/** @param ratios to the turns of the echo right after each */
function report(name: string, turns: readonly Turn[], ratios: readonly number[]): void {
  const us = median(turns.map((turn) => turn.us));
  const delays = turns.flatMap((turn) => turn.delays);
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
  const figures = [
    `${median(ratios).toFixed(2)} times the echo (${least} to ${most})`,
    `${us.toFixed(1)} µs`,
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

/** One contestant after the other, each in turns with the echo: what else the machine does then happens to both. */
async function compare(contestants: readonly Contestant[], scene: Scene, codec: BenchCodec): Promise<void> {
  console.log(`${codec}: ${scene.phones} phones, ${scene.name}, ${TURNS} turns of ${SECONDS} s`);
  const reference = await Entrant.start(echo, scene, codec);
  const ofEcho: Turn[] = [];
  for (const contestant of contestants) {
    const entrant = await Entrant.start(contestant, scene, codec);
    const turns: Turn[] = [];
    const ratios: number[] = [];
    for (let turn = 0; turn < TURNS; turn += 1) {
      const [own, echoed] = [await entrant.takeTurn(turn), await reference.takeTurn(turn)];
      turns.push(own);
      ofEcho.push(echoed);
      ratios.push(own.us / echoed.us);
    }
    await entrant.stop();
    report(contestant.name, turns, ratios);
  }
  await reference.stop();
  report(echo.name, ofEcho, [1]);
}

const rivals = [freeswitchConference, janus];
const before = mediaPlaneBefore ? [mediaPlaneBefore] : [];
/** What is asked for: codecs, or `sessions`; all without a word. */
const wanted = process.argv.slice(2);
const isWanted = (what: string): boolean => wanted.length === 0 || wanted.includes(what);
for (const { name, missing } of rivals) if (missing !== undefined) console.log(`${name} skipped: ${missing}`);
console.log('processor time for each phone and 20 ms; delay from one phone to another:');
for (const codec of ['PCMU', 'G722', 'opus'] as const) {
  const contestants = [clockedEcho, mediaPlane, ...before, foundPhones, ...rivals].filter(
    ({ codecs, missing }) => missing === undefined && codecs.includes(codec),
  );
  if (isWanted(codec)) await compare(contestants, heard, codec);
}
if (isWanted('sessions')) {
  for (const scene of sessions) await compare([mediaPlane, ...before], scene, 'PCMU');
}
console.log(`heap used for each packet, in or out: ${(await allocation()).toFixed(0)} bytes`);
