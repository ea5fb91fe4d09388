/**
 * What a stream costs that goes to another media host by a pipe, on both hosts, compared in the same run with what one
 * more browser costs that receives it on its own host. Both hosts have packets of streams of their own all the time, as
 * hosts do; each turn adds nothing, the browser, or the pipe from one to the other.
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
const [key, path] = [randomBytes(32).toString('base64'), join(folder, 'pipe')];
const sender = new BenchHost();
await sender.ask({ type: 'listen', path, key });
const receiver = new BenchHost();
await receiver.ask({ type: 'connect', path, key });
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
async function turn(what: 'nothing' | 'browser' | 'pipe'): Promise<{ sender: number; receiver: number }> {
  await sender.ask({ type: 'receive', on: what === 'browser' });
  await sender.ask({ type: 'pipe', on: what === 'pipe' });
  await run(1); // Warm-up.
  const [senderBefore, receiverBefore] = [await sender.processorTime(), await receiver.processorTime()];
  await run(SECONDS);
  return {
    sender: (await sender.processorTime()) - senderBefore,
    receiver: (await receiver.processorTime()) - receiverBefore,
  };
}

const added = { browser: [] as number[], sending: [] as number[], receiving: [] as number[] };
const packets = STREAMS * SECONDS * AUDIO_PACKETS_PER_SECOND;
for (let i = 0; i < TURNS; i += 1) {
  const nothing = await turn('nothing');
  const withBrowser = await turn('browser');
  const withPipe = await turn('pipe');
  added.browser.push((withBrowser.sender - nothing.sender) / packets);
  added.sending.push((withPipe.sender - nothing.sender) / packets);
  added.receiving.push((withPipe.receiver - nothing.receiver) / packets);
}
const counters = await sender.counters();
const [one, sending, receiving] = [added.browser, added.sending, added.receiving].map(median);
console.log(
  [
    `${STREAMS} streams of audio, ${TURNS} turns of ${SECONDS} s; processor time for each packet:`,
    `  one more browser       ${one!.toFixed(1)} µs`,
    `  a pipe, sending        ${sending!.toFixed(1)} µs (${(sending! / one!).toFixed(2)} times the browser)`,
    `  a pipe, receiving      ${receiving!.toFixed(1)} µs (${(receiving! / one!).toFixed(2)} times the browser)`,
    `  both                   ${((sending! + receiving!) / one!).toFixed(2)} times the browser`,
    `  sent by the pipe       ${counters.packetsSent}, dropped ${counters.packetsDropped}`,
  ].join('\n'),
);
browser.close();
sender.stop();
receiver.stop();
nodeDataChannel.cleanup();
await rm(folder, { recursive: true });
