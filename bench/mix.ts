/**
 * What a phone costs the media plane every 20 ms: receiving and forwarding its packet, and mixing, encoding and sending
 * what it hears of several talkers. Compared, in the same seconds, with a bare echo of as many sockets. So are an echo that
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

/** For so long all run at the same time first: by then V8 has compiled what it will, and encoders are shared that are. */
const WARM_UP_SECONDS = Number(process.env['BENCH_WARM_UP'] ?? 20);
/** Of each turn not measured, since what it begins with is not what stays: delays, and which encoders are shared. */
const LEAD_SECONDS = 2.5;
const DELAY_SECONDS = 4;
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 6);
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
  /** The same of the echo in the same seconds. */
  readonly echoUs: number;
  readonly returned: number;
}

/** A contestant at work. */
class Entrant {
  readonly name: string;
  readonly turns: Turn[] = [];
  readonly delays: number[] = [];
  readonly #load: Load;
  readonly #carrier: Carrier;

  private constructor(name: string, load: Load, carrier: Carrier) {
    this.name = name;
    this.#load = load;
    this.#carrier = carrier;
  }

  static async start({ name, carry }: Contestant, scene: Scene, codec: BenchCodec): Promise<Entrant> {
    const load = await Load.open(scene, codec);
    return new Entrant(name, load, await carry({ peerPorts: load.ports, scene, codec }));
  }

  run(seconds: number): Promise<void> {
    return this.#load.run(this.#carrier.ports, seconds);
  }

  /** Delays are measured alone, cost beside the echo: what else happens on the machine then happens to both. */
  async takeTurn(beside: Entrant): Promise<void> {
    await this.run(LEAD_SECONDS);
    this.#load.delays.length = 0;
    await this.run(DELAY_SECONDS);
    this.delays.push(...this.#load.delays);
    const [own, { us: echoUs }] = await Promise.all([this.#measure(), beside.#measure()]);
    this.turns.push({ ...own, echoUs });
  }

  async #measure(): Promise<Omit<Turn, 'echoUs'>> {
    const load = this.#load;
    load.sent = 0;
    load.received = 0;
    const before = processorSeconds(this.#carrier.pid);
    await this.run(SECONDS);
    const us = (processorSeconds(this.#carrier.pid) - before) * 1e6;
    return { us: us / load.sent, returned: load.received / load.sent };
  }

  async stop(): Promise<void> {
    this.#load.close();
    await this.#carrier.stop();
  }
}

async function allocation(): Promise<number> {
  const child = fork(new URL('mix/allocation.ts', import.meta.url), {
    execArgv: [...process.execArgv, '--expose-gc', '--max-semi-space-size=512', '--min-semi-space-size=512'],
  });
  const [{ bytesPerPacket }] = (await once(child, 'message')) as [{ bytesPerPacket: number }];
  return bytesPerPacket;
}

function report({ name, turns, delays }: Entrant): void {
  const us = median(turns.map((turn) => turn.us));
  const ratios = turns.map((turn) => turn.us / turn.echoUs).sort((a, b) => a - b);
  const figures = [
    `${median(ratios).toFixed(2)} times the echo (${ratios[0]!.toFixed(2)} to ${ratios.at(-1)!.toFixed(2)})`,
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

async function compare(contestants: readonly Contestant[], scene: Scene, codec: BenchCodec): Promise<void> {
  const reference = await Entrant.start(echo, scene, codec);
  const entrants: Entrant[] = [];
  try {
    for (const contestant of contestants) entrants.push(await Entrant.start(contestant, scene, codec));
    await Promise.all([reference, ...entrants].map((entrant) => entrant.run(WARM_UP_SECONDS)));
    for (let turn = 0; turn < TURNS; turn += 1) {
      for (const entrant of entrants) await entrant.takeTurn(reference);
    }
  } finally {
    await Promise.all([reference, ...entrants].map((entrant) => entrant.stop()));
  }
  const echoUs = median(entrants.flatMap(({ turns }) => turns.map((turn) => turn.echoUs)));
  console.log(
    `${codec}: ${scene.phones} phones, ${scene.name}, ${TURNS} turns of ${SECONDS} s; the echo: ${echoUs.toFixed(1)} µs`,
  );
  for (const entrant of entrants) report(entrant);
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
