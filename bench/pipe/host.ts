/** A media host of bench/pipe.ts, which does what it is asked by messages. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type BrowserHandle, createMediaPlane } from '../../src/media/index.js';
import type { LiveStream } from '../../src/media/endpoint.js';
import { LiveStreams } from '../../src/media/live-streams.js';
import { connectPipe, listenForPipes, type SendingPipe } from '../../src/media/pipe/index.js';
import { writeRtpHeader } from '../../src/media/rtp/index.js';
import { PublishedTrack } from '../../src/media/track.js';
import type { HostReply, HostRequest } from './bench-host.js';

const FRAME_MS = 20;
const HEADER = 12;
const PAYLOAD = 160;
const quiet = { debug: ignore, info: ignore, warn: ignore, error: ignore };

const plane = createMediaPlane(
  {
    rtpHost: '127.0.0.1',
    rtpPorts: [20000, 20100],
    webrtcHost: '127.0.0.1',
    webrtcPort: 0,
    mediaTimeoutMs: 60_000,
  },
  ignore,
);
const LOOPBACK = '127.0.0.1';
const parts = { streams: plane.remoteStreams, log: quiet };
const tracks: PublishedTrack[] = [];
const streamIds = (): string[] => tracks.map(({ streamId }) => streamId);
const pipes: Partial<Record<'socket' | 'tcp', SendingPipe>> = {};
let delays: number[] = [];
/** Tracks of the other host whose packets are timed; undefined until somebody asks. */
let timed: Set<PublishedTrack> | undefined;
let browser: BrowserHandle | undefined;
/** Settles when the browser has answered the last offer. */
let answered: () => void = ignore;

async function handle(request: HostRequest): Promise<Omit<HostReply, 'id'>> {
  switch (request.type) {
    case 'listen': {
      const { path } = request;
      const listener = await listenForPipes(
        path === undefined ? { host: LOOPBACK, port: 0 } : { path },
        parts,
      );
      pipes[path === undefined ? 'tcp' : 'socket'] = listener.expect(Buffer.from(request.key, 'base64'));
      return 'port' in listener.address ? { port: listener.address.port } : {};
    }
    case 'connect': {
      const { path, port = 0 } = request;
      connectPipe(
        path === undefined ? { host: LOOPBACK, port } : { path },
        Buffer.from(request.key, 'base64'),
        parts,
      );
      return {};
    }
    case 'publish':
      publish(request.streams, request.prefix);
      return {};
    case 'receive':
      await receive(request.on);
      return {};
    case 'answer':
      await browser!.answerSubscribe(request.sdp);
      answered();
      return {};
    case 'pipe':
      for (const by of ['socket', 'tcp'] as const) pipes[by]!.send(request.by === by ? streamIds() : []);
      return {};
    case 'time':
      time();
      return {};
    case 'delays':
      return { delays };
    case 'run':
      await run(request.seconds);
      return {};
    case 'processorTime': {
      const { user, system } = process.cpuUsage();
      return { processorTime: user + system };
    }
    case 'counters':
      return { counters: pipes.socket!.counters() };
  }
}

function publish(count: number, prefix: string): void {
  if (!(plane.remoteStreams instanceof LiveStreams)) throw new Error('The plane has another kind of table.');
  for (let i = 0; i < count; i += 1) {
    const codec = { name: 'PCMU', clockRate: 8000, channels: 1 };
    tracks.push(new PublishedTrack({ kind: 'audio', streamId: `${prefix}${i}`, codec }));
  }
  plane.remoteStreams.replaceLocal(
    [],
    tracks.map((track) => ({ streamId: track.streamId, tracks: [track] })),
  );
}

/** The clock is the same for all processes of a machine. */
function time(): void {
  delays = [];
  if (timed) return;
  const known = (timed = new Set<PublishedTrack>());
  const attach = (): void => {
    for (const { tracks: remote } of remoteStreams())
      for (const track of remote) {
        if (known.has(track)) continue;
        known.add(track);
        track.attach({
          onPacket: (packet, payloadOffset) =>
            delays.push(Number(process.hrtime.bigint() - packet.readBigInt64BE(payloadOffset)) / 1e6),
        });
      }
  };
  attach();
  plane.remoteStreams.watch(attach);
}

/** Those whose ids are the other host's. */
function remoteStreams(): LiveStream[] {
  if (!(plane.remoteStreams instanceof LiveStreams)) throw new Error('The plane has another kind of table.');
  const table = plane.remoteStreams;
  return Array.from({ length: tracks.length }, (_, i) => table.get(`sent${i}`)).filter(
    (stream) => stream !== undefined,
  );
}

async function receive(on: boolean): Promise<void> {
  browser ??= plane.open({ kind: 'browser', deviceId: 'browser' }, (event) => {
    if (event.type === 'subscribeOffer') process.send!({ offer: event.offer.sdpOffer });
  });
  await browser.opened;
  const settled = new Promise<void>((resolve) => (answered = resolve));
  await browser.setDelivery(on ? streamIds().map((streamId) => ({ streamId, kinds: ['audio'] })) : []);
  // Without a change there is no offer.
  await Promise.race([settled, sleep(1000)]);
}

/** Publishes the packets of all streams, spread evenly over each 20 ms. */
async function run(seconds: number): Promise<void> {
  const packet = Buffer.alloc(HEADER + PAYLOAD, 0x55);
  const startedAt = performance.now();
  const total = (tracks.length * seconds * 1000) / FRAME_MS;
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / FRAME_MS) * tracks.length));
    for (; sent < due; sent += 1) {
      const frame = Math.floor(sent / tracks.length);
      writeRtpHeader(packet, 0, false, frame & 0xffff, frame * PAYLOAD, 1);
      packet.writeBigInt64BE(process.hrtime.bigint(), HEADER);
      tracks[sent % tracks.length]!.push(packet, HEADER, packet.length, false);
    }
    await sleep(1);
  }
}

function ignore(): void {
  // Nothing is wanted of it.
}

process.on('message', ({ id, ...request }: HostRequest & { id: number }) => {
  void handle(request).then((reply) => process.send!({ id, ...reply }));
});
