/**
 * What a stream costs that goes to another media host by a pipe, on both hosts, compared in the same run with what one
 * more browser costs that receives it on its own host. Both hosts have packets of streams of their own all the time, as
 * hosts do; each turn adds nothing, the browser, the pipe from one to the other by a Unix socket, as on one machine, or that
 * by TCP, as between machines. How long packets take by either is measured in turns of their own.
 */
import { median } from './median.js';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import nodeDataChannel from 'node-datachannel';
import { BenchHost } from './pipe/bench-host.js';
import { LoadTransport } from './sfu/load-transport.js';
import { subscribeAnswer } from './sfu/load-sdp.js';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4);
const STREAMS = Number(process.env['BENCH_STREAMS'] ?? 40);
const TURNS = 5;
const AUDIO_PACKETS_PER_SECOND = 50;

const folder = await mkdtemp(join(tmpdir(), 'bench-pipe-'));
const [key, tcpKey] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
const path = join(folder, 'pipe');
const sender = new BenchHost();
await sender.ask({ type: 'listen', path, key });
const { port } = await sender.ask({ type: 'listen', key: tcpKey });
const receiver = new BenchHost();
await receiver.ask({ type: 'connect', path, key });
await receiver.ask({ type: 'connect', port: port!, key: tcpKey });
await sender.ask({ type: 'publish', streams: STREAMS, prefix: 'sent' });
await receiver.ask({ type: 'publish', streams: STREAMS, prefix: 'own' });
const run = (seconds: number): Promise<unknown> =>
  Promise.all([sender, receiver].map((host) => host.ask({ type: 'run', seconds })));

const browser = new LoadTransport();
browser.report();
const answer = async (offer: string): Promise<string> => subscribeAnswer(offer, await local(offer));
let described: ReturnType<LoadTransport['answer']> | undefined;
const local = (offer: string): ReturnType<LoadTransport['answer']> => (described ??= browser.answer(offer));
sender.onOffer = (offer) => void answer(offer).then((sdp) => sender.ask({ type: 'answer', sdp }));

/** Processor time of both hosts in a turn, in µs. */
async function turn(
  what: 'nothing' | 'browser' | 'socket' | 'tcp',
): Promise<{ sender: number; receiver: number }> {
  await sender.ask({ type: 'receive', on: what === 'browser' });
  await sender.ask({ type: 'pipe', by: what === 'socket' || what === 'tcp' ? what : undefined });
  await run(1); // Warm-up.
  const [senderBefore, receiverBefore] = [await sender.processorTime(), await receiver.processorTime()];
  await run(SECONDS);
  return {
    sender: (await sender.processorTime()) - senderBefore,
    receiver: (await receiver.processorTime()) - receiverBefore,
  };
}

/** How long packets take by a pipe, in ms. */
async function delaysBy(by: 'socket' | 'tcp'): Promise<readonly number[]> {
  await sender.ask({ type: 'receive', on: false });
  await sender.ask({ type: 'pipe', by });
  await run(1); // Warm-up: the streams are there.
  await receiver.ask({ type: 'time' });
  await run(SECONDS);
  return [...(await receiver.ask({ type: 'delays' })).delays!].sort((one, other) => one - other);
}

const added = { browser: [] as number[], socket: twoLists(), tcp: twoLists() };
const packets = STREAMS * SECONDS * AUDIO_PACKETS_PER_SECOND;
for (let i = 0; i < TURNS; i += 1) {
  const nothing = await turn('nothing');
  added.browser.push(((await turn('browser')).sender - nothing.sender) / packets);
  for (const by of ['socket', 'tcp'] as const) {
    const used = await turn(by);
    added[by].sending.push((used.sender - nothing.sender) / packets);
    added[by].receiving.push((used.receiver - nothing.receiver) / packets);
  }
}
const one = median(added.browser);
const lines = [
  `${STREAMS} streams of audio, ${TURNS} turns of ${SECONDS} s; processor time for each packet:`,
  `  one more browser            ${one.toFixed(1)} µs`,
];
for (const [by, name] of [
  ['socket', 'between hosts (Unix socket)'],
  ['tcp', 'between machines (TCP)'],
] as const) {
  const [sending, receiving] = [median(added[by].sending), median(added[by].receiving)];
  const delays = await delaysBy(by);
  const at = (share: number): string => (delays[Math.floor(share * (delays.length - 1))] ?? NaN).toFixed(2);
  lines.push(
    `  ${name}:`,
    `    sending                   ${sending.toFixed(1)} µs (${(sending / one).toFixed(2)} times the browser)`,
    `    receiving                 ${receiving.toFixed(1)} µs (${(receiving / one).toFixed(2)} times the browser)`,
    `    delay of a packet         ${at(0.5)} ms median, ${at(0.99)} ms p99 (${delays.length} packets)`,
  );
}
const counters = await sender.counters();
lines.push(`  sent by the Unix socket     ${counters.packetsSent}, dropped ${counters.packetsDropped}`);
console.log(lines.join('\n'));

function twoLists(): { sending: number[]; receiving: number[] } {
  return { sending: [], receiving: [] };
}
browser.close();
sender.stop();
receiver.stop();
nodeDataChannel.cleanup();
await rm(folder, { recursive: true });
