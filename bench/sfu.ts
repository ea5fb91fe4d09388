/**
 * A full session through the gateway: 20 publishers and 380 audio deliveries, then 6 with video. Reports the
 * gateway's processor time, and delay and loss of packets through it, each beside those of a bare UDP forwarder that
 * carries the same packets, one process too. A direct connection within the load process, at the same time and rate,
 * shows which part of the delay comes from the load itself.
 */
import { createHistogram } from 'node:perf_hooks';
import type { RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import nodeDataChannel from 'node-datachannel';
import { startGateway } from '../test/support/gateway.js';
import type { TestGateway } from '../test/support/gateway.js';
import { Rest } from '../test/support/rest.js';
import { bareSession } from './sfu/bare.js';
import { ageOf, Flow } from './sfu/load-packets.js';
import { LoadParticipant } from './sfu/load-participant.js';
import { LoadTransport } from './sfu/load-transport.js';
import { publishOffer, subscribeAnswer } from './sfu/load-sdp.js';
import { processorSeconds } from './process-time.js';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 10);
const FRAME_MS = 20;
const FRAMES = (SECONDS * 1000) / FRAME_MS;
/** Participants whose packets are measured; the others only receive. */
const SAMPLED = 3;
const CONNECT_LIMIT_MS = 30_000;
const AUDIO = { payloadType: 111, size: 80, step: 960 };
/** For each frame of 40 ms: about 1 Mbit/s. */
const VIDEO = { payloadType: 96, size: 1100, step: 3600 };
const VIDEO_PACKETS = 5;

interface Scene {
  readonly name: string;
  readonly participants: number;
  readonly video: boolean;
}

/** Whoever sends and is forwarded. */
interface Publisher {
  readonly send: (packet: Buffer) => void;
  readonly audio: Flow;
  readonly video: Flow | undefined;
}

interface Member extends Publisher {
  readonly load: LoadParticipant;
}

/** What carrying a scene took. */
interface Carried {
  /** Percent of a core. */
  readonly core: number;
  readonly meter: Meter;
}

/** Delays in µs, and the number of received packets. */
class Meter {
  readonly delays: RecordableHistogram = createHistogram();
  on = false;

  readonly take = (packet: Buffer): void => {
    if (!this.on) return;
    const age = ageOf(packet);
    if (age !== undefined) this.delays.record(Math.max(1, Math.round(age * 1000)));
  };

  get p99(): number {
    return this.delays.percentile(99);
  }

  get summary(): string {
    const ms = (percentile: number): string => (this.delays.percentile(percentile) / 1000).toFixed(2);
    return `p50 ${ms(50)} ms, p99 ${ms(99)} ms`;
  }
}

async function join(gateway: TestGateway, scene: Scene, meter: Meter): Promise<Member[]> {
  const rest = new Rest(gateway);
  const session = await rest.session();
  const members: Member[] = [];
  for (let i = 0; i < scene.participants; i += 1) {
    const { token } = await rest.member(session);
    const load = new LoadParticipant(gateway.wsUrl, token, i < SAMPLED ? meter.take : undefined);
    const audio = 1000 + i;
    const video = scene.video ? 2000 + i : undefined;
    await load.start({ audio, ...(video === undefined ? {} : { video }) });
    members.push({ load, ...publisher(i, scene, (packet) => load.send(packet)) });
  }
  const expected = (scene.participants - 1) * (scene.video ? 2 : 1);
  const limit = performance.now() + CONNECT_LIMIT_MS;
  while (members.some(({ load }) => load.receiving < expected)) {
    if (performance.now() > limit) throw new Error('Not all subscriptions came up.');
    await sleep(100);
  }
  return members;
}

function publisher(i: number, { video }: Scene, send: Publisher['send']): Publisher {
  return {
    send,
    audio: new Flow({ ...AUDIO, ssrc: 1000 + i }),
    video: video ? new Flow({ ...VIDEO, ssrc: 2000 + i }) : undefined,
  };
}

/** Two ends connected to each other, without the gateway. */
async function direct(meter: Meter): Promise<{ send: (packet: Buffer) => void; close: () => void }> {
  const [from, to] = [new LoadTransport(), new LoadTransport(meter.take)];
  const offer = publishOffer(await from.offer(), { audio: 1 });
  from.accept(subscribeAnswer(offer, await to.answer(offer)));
  await Promise.all([from.connected, to.connected]);
  return {
    send: (packet) => from.send(packet),
    close: () => {
      from.close();
      to.close();
    },
  };
}

/** Sends a frame of every publisher each 20 ms, spread evenly, as independent clocks would. */
async function play(
  members: readonly Publisher[],
  frames: number,
  sendDirect?: (packet: Buffer) => void,
): Promise<void> {
  const directFlow = new Flow({ ...AUDIO, ssrc: 1 });
  const startedAt = performance.now();
  for (let frame = 0; frame < frames; frame += 1) {
    for (const [index, { send, audio, video }] of members.entries()) {
      const due = startedAt + FRAME_MS * (frame + index / members.length);
      if (due - performance.now() >= 1) await sleep(due - performance.now());
      send(audio.next(true));
      if (video && frame % 2 === 0) {
        for (let part = 1; part <= VIDEO_PACKETS; part += 1) send(video.next(part === VIDEO_PACKETS));
      }
    }
    sendDirect?.(directFlow.next(true));
  }
}

/** Plays the scene, a second of it unmeasured, to the process that carries it. @returns percent of a core that it took */
async function measure(
  pid: number,
  publishers: readonly Publisher[],
  meters: readonly Meter[],
  sendDirect?: (packet: Buffer) => void,
): Promise<number> {
  await play(publishers, 1000 / FRAME_MS, sendDirect);
  await sleep(500);
  for (const meter of meters) meter.on = true;
  const [before, startedAt] = [processorSeconds(pid), performance.now()];
  await play(publishers, FRAMES, sendDirect);
  const core = (100 * (processorSeconds(pid) - before)) / ((performance.now() - startedAt) / 1000);
  await sleep(500);
  return core;
}

/** The same scene through a bare UDP forwarder. */
async function bare(scene: Scene): Promise<Carried> {
  const meter = new Meter();
  const session = await bareSession(scene.participants, SAMPLED, meter.take);
  const publishers = session.senders.map((send, i) => publisher(i, scene, send));
  const core = await measure(session.pid, publishers, [meter]);
  session.close();
  return { core, meter };
}

async function run(scene: Scene): Promise<void> {
  const gateway = await startGateway({ env: { PATCHBAY_LOG_LEVEL: 'info' } });
  const [through, beside] = [new Meter(), new Meter()];
  try {
    const members = await join(gateway, scene, through);
    const pair = await direct(beside);
    const core = await measure(gateway.pid, members, [through, beside], pair.send);
    const restarts = members.reduce((sum, { load }) => sum + load.restarts, 0);
    pair.close();
    for (const { load } of members) load.close();
    report(scene, { core, meter: through, restarts }, beside, await bare(scene));
  } finally {
    await gateway.stop();
  }
}

function report(
  { name, participants, video }: Scene,
  gateway: Carried & { readonly restarts: number },
  beside: Meter,
  forwarder: Carried,
): void {
  const perSource = FRAMES * (video ? 1 + VIDEO_PACKETS / 2 : 1);
  const expected = SAMPLED * (participants - 1) * perSource;
  const line = (who: string, { core, meter }: Carried): string => {
    const lost = 100 * (1 - meter.delays.count / expected);
    return `  ${who.padEnd(15)}${core.toFixed(1)} % of a core, ${meter.summary}, lost ${lost.toFixed(3)} %`;
  };
  const times = (a: number, b: number): string => (a / b).toFixed(2);
  console.log(
    [
      `${name}: ${participants} publishers, ${participants * (participants - 1)} deliveries of each kind`,
      line('gateway', gateway),
      line('bare forwarder', forwarder),
      `  directly       ${beside.summary}`,
      `  the gateway takes ${times(gateway.core, forwarder.core)} times the forwarder's processor time; its p99 is ` +
        `${times(gateway.meter.p99, forwarder.meter.p99)} times the forwarder's, ` +
        `${times(gateway.meter.p99, beside.p99)} times that of the direct connection`,
      `  ${expected} packets looked at; paths replaced: ${gateway.restarts}`,
    ].join('\n'),
  );
}

await run({ name: 'audio', participants: 20, video: false });
await run({ name: 'audio and video', participants: 6, video: true });
nodeDataChannel.cleanup();
