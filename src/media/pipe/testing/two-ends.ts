import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, vi } from 'vitest';
import { silentLog } from '../../../shared/testing/index.js';
import type { LiveStream } from '../../endpoint.js';
import { LiveStreams, type RemoteStreams } from '../../live-streams.js';
import { PublishedTrack } from '../../track.js';
import { connectPipe, listenForPipes, type Pipe, type PipeListener, type SendingPipe } from '../index.js';

/** A Unix socket, or TCP on 127.0.0.1. */
type WireEnd = { readonly path: string } | { readonly host: string; readonly port: number };

/** Passes bytes between a connecting and a listening end, and can hold them up, change them, or cut them off. */
export class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Changes what comes from the listening end. */
  change: ((bytes: Buffer) => Buffer) | undefined;

  constructor(at: WireEnd, target: WireEnd) {
    this.#server = createServer((near) => {
      const far = connect(target);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined).on('close', () => [near, far].forEach((end) => end.destroy()));
      }
      near.pipe(far);
      far.on('data', (bytes: Buffer) => {
        if (near.write(this.change?.(bytes) ?? bytes)) return;
        far.pause();
        near.once('drain', () => far.resume());
      });
    }).listen(at);
  }

  /** Where it listens, if by TCP. */
  async tcpPort(): Promise<number> {
    if (!this.#server.listening) await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Passes nothing more on by the connections that there are, and closes none. */
  stall(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  resume(): void {
    for (const socket of this.#sockets) socket.resume();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** What a sink of a test got. */
interface Heard {
  readonly packet: Buffer;
  readonly from: number;
  readonly to: number;
  readonly telephoneEvent: boolean;
}

/** Collects what a track pushes. */
export function listen(track: PublishedTrack): Heard[] {
  const heard: Heard[] = [];
  track.attach({
    onPacket: (packet, from, to, telephoneEvent) =>
      heard.push({ packet: Buffer.from(packet), from, to, telephoneEvent }),
  });
  return heard;
}

/** A table of streams without a plane, in which a test publishes. */
export class Streams extends LiveStreams {
  readonly #published = new Map<string, LiveStream>();

  constructor() {
    super(() => undefined);
  }

  /** Publishes a stream of these tracks, or other tracks in place of the present ones; none: it ends. */
  publish(streamId: string, ...tracks: PublishedTrack[]): void {
    const before = this.#published.get(streamId);
    const stream = tracks.length > 0 ? { streamId, tracks } : undefined;
    if (stream) this.#published.set(streamId, stream);
    else this.#published.delete(streamId);
    this.replaceLocal(before ? [before] : [], stream ? [stream] : []);
    for (const track of before?.tracks ?? []) if (!tracks.includes(track)) track.end();
  }

  /** Waits until a stream is there, whose first track is not the one given. */
  async until(streamId: string, other?: PublishedTrack): Promise<PublishedTrack> {
    await vi.waitUntil(
      () => {
        const track = this.get(streamId)?.tracks[0];
        return track !== undefined && track !== other;
      },
      { timeout: 10_000 },
    );
    return this.get(streamId)!.tracks[0]!;
  }

  async untilGone(streamId: string): Promise<void> {
    await vi.waitUntil(() => this.get(streamId) === undefined, { timeout: 10_000 });
  }
}

export function opus(streamId = 's'): PublishedTrack {
  const codec = { name: 'opus', clockRate: 48_000, channels: 2, fmtp: 'useinbandfec=1' };
  return new PublishedTrack({ kind: 'audio', streamId, codec });
}

/**
 * Joins two tables of streams by a pipe from the left to the right, through a {@link Wire}, and one back; all closed after
 * each test.
 */
export function useTwoEnds<Table extends RemoteStreams>(make: () => Table) {
  const key = randomBytes(32);
  const stage = {
    key,
    path: '',
    left: undefined as unknown as Table,
    right: undefined as unknown as Table,
    listener: undefined as unknown as PipeListener,
    wire: undefined as unknown as Wire,
    /** The ends of the pipe from the left, and the right side's end of the one back. */
    listening: undefined as unknown as SendingPipe,
    connecting: undefined as unknown as Pipe,
    back: undefined as unknown as SendingPipe,
    /** Waits until the pipe has come up so many times. */
    connected: async (times = 1): Promise<void> => {
      await vi.waitUntil(
        () =>
          [stage.listening, stage.connecting].every((end) => {
            const { isConnected, connections } = end.counters();
            return isConnected && connections >= times;
          }),
        { timeout: 10_000 },
      );
    },
  };
  let folder: string;
  let backListener: PipeListener;
  let backConnecting: Pipe;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pipe-'));
    const wirePath = join(folder, 'wire');
    stage.path = join(folder, 'listener');
    stage.left = make();
    stage.right = make();
    stage.listener = await listenForPipes({ path: stage.path }, { streams: stage.left, log: silentLog });
    stage.wire = new Wire({ path: wirePath }, { path: stage.path });
    stage.listening = stage.listener.expect(key);
    stage.connecting = connectPipe({ path: wirePath }, key, { streams: stage.right, log: silentLog });
    const backPath = join(folder, 'back');
    backListener = await listenForPipes({ path: backPath }, { streams: stage.right, log: silentLog });
    stage.back = backListener.expect(key);
    backConnecting = connectPipe({ path: backPath }, key, { streams: stage.left, log: silentLog });
    await stage.connected();
  });
  afterEach(async () => {
    stage.connecting.close();
    await stage.wire.close();
    await stage.listener.close();
    backConnecting.close();
    await backListener.close();
    await rm(folder, { recursive: true });
  });
  return stage;
}
