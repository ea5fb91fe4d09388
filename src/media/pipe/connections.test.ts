import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { FakeClock, silentLog } from '../../shared/testing/index.js';
import { pipeName } from './handshake.js';
import { connectPipe, listenForPipes } from './index.js';
import { listen, opus, Streams, useTwoEnds, Wire } from './testing/two-ends.js';
import { rtpPacket } from '../rtp/testing/packets.js';

const LIMIT = { timeout: 10_000 };

describe('the connections of a pipe', () => {
  const stage = useTwoEnds(() => new Streams());

  /** The pipe that is up carries a packet. */
  const works = async (): Promise<void> => {
    const track = opus('check');
    stage.left.publish('check', track);
    stage.listening.send(['check']);
    const heard = listen(await stage.right.until('check', stage.right.get('check')?.tracks[0]));
    track.push(rtpPacket({ sequence: 1, timestamp: 1 }), 12, 172, false);
    await vi.waitUntil(() => heard.length === 1);
  };
  const raw = async (bytes: Buffer): Promise<Socket> => {
    const socket = connect(stage.path).on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  };

  it('are for the owner of the socket alone', async () => {
    expect((await stat(stage.path)).mode & 0o777).toBe(0o600);
  });

  it('are refused with another key', async () => {
    const other = connectPipe({ path: stage.path }, randomBytes(32), {
      streams: new Streams(),
      log: silentLog,
    });
    await vi.waitUntil(() => other.counters().failures > 1 && stage.listener.refused > 1);
    expect(other.counters()).toMatchObject({ isConnected: false, connections: 0 });
    other.close();
    await works();
  });

  it('are refused to one who knows the name of a pipe but not its key', async () => {
    const hello = Buffer.concat([
      Buffer.from('PBP2'),
      Buffer.from(pipeName(stage.key), 'base64'),
      randomBytes(32),
    ]);
    const record = Buffer.concat([Buffer.of(0, 0, 0, 19), randomBytes(19)]);
    const socket = await raw(Buffer.concat([hello, record]));
    socket.resume();
    await once(socket, 'close');
    expect(stage.listening.counters()).toMatchObject({ isConnected: true, connections: 1, failures: 1 });
    await works();
  });

  it('are refused to garbage', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 68, maxLength: 300 }), async (bytes) => {
        const { refused } = stage.listener;
        const socket = await raw(Buffer.from(bytes));
        socket.resume();
        await once(socket, 'close');
        expect(stage.listener.refused).toBe(refused + 1);
      }),
      { numRuns: 30 },
    );
    await works();
  });

  it('are given up, and made again, when a record was changed on the way', async () => {
    stage.wire.change = (bytes) => {
      stage.wire.change = undefined;
      const changed = Buffer.from(bytes);
      changed[changed.length - 1]! ^= 1;
      return changed;
    };
    stage.left.publish('s', opus());
    stage.listening.send(['s']);
    await stage.connected(2);
    await works();
  });

  it('are given up when a record was repeated', async () => {
    stage.wire.change = (bytes) => {
      stage.wire.change = undefined;
      return Buffer.concat([bytes, bytes]);
    };
    stage.left.publish('s', opus());
    stage.listening.send(['s']);
    await stage.connected(2);
    await works();
  });

  it('are not made to one who listens in place of the host', async () => {
    const { path } = stage;
    const impostor = createServer((socket) => {
      socket.on('error', () => undefined).resume();
      socket.write(Buffer.concat([Buffer.from('PBP2'), randomBytes(200)]));
    }).listen(`${path}-other`);
    await once(impostor, 'listening');
    const streams = new Streams();
    const pipe = connectPipe({ path: `${path}-other` }, stage.key, { streams, log: silentLog });
    await vi.waitUntil(() => pipe.counters().failures > 1);
    expect(pipe.counters().connections).toBe(0);
    pipe.close();
    impostor.close();
  });

  it('are tried until the other host listens, and until the pipe is closed', async () => {
    const [left, right] = [new Streams(), new Streams()];
    const [path, key] = [`${stage.path}-later`, randomBytes(32)];
    const pipe = connectPipe({ path }, key, { streams: right, log: silentLog });
    left.publish('s', opus());
    await vi.waitUntil(() => pipe.counters().failures > 0);
    const listener = await listenForPipes({ path }, { streams: left, log: silentLog });
    // Not announced yet.
    await vi.waitUntil(() => listener.refused > 0);
    listener.expect(key).send(['s']);
    await right.until('s');
    await listener.close();
    await right.untilGone('s');
    pipe.close();
  });

  it('may be TCP', async () => {
    const [left, right] = [new Streams(), new Streams()];
    const key = randomBytes(32);
    const listener = await listenForPipes({ host: '127.0.0.1', port: 0 }, { streams: left, log: silentLog });
    left.publish('s', opus());
    listener.expect(key).send(['s']);
    const pipe = connectPipe(listener.address, key, { streams: right, log: silentLog });
    await right.until('s');
    pipe.close();
    await listener.close();
  });

  it('between machines live on in silence, and are given up and made again when the network takes everything', async () => {
    const [left, right, clock] = [new Streams(), new Streams(), new FakeClock()];
    const key = randomBytes(32);
    const host = '127.0.0.1';
    const listener = await listenForPipes({ host, port: 0 }, { streams: left, log: silentLog, clock });
    const wire = new Wire({ host, port: 0 }, listener.address);
    const sending = listener.expect(key);
    const parts = { streams: right, log: silentLog, clock };
    const receiving = connectPipe({ host, port: await wire.tcpPort() }, key, parts);
    const ends = [sending, receiving];
    const untilUp = (times: number): Promise<unknown> =>
      vi.waitUntil(
        () => ends.every((end) => end.counters().isConnected && end.counters().connections === times),
        LIMIT,
      );
    try {
      left.publish('s', opus());
      sending.send(['s']);
      const before = await right.until('s');
      await untilUp(1);
      // No packet goes by for 5 s.
      for (let beats = 0; beats < 10; beats += 1) {
        const bytes = ends.map((end) => end.counters().bytesReceived);
        clock.advance(500);
        await vi.waitUntil(() => ends.every((end, i) => end.counters().bytesReceived > bytes[i]!), LIMIT);
      }
      expect([before.ended, ends.map((end) => end.counters().connections)]).toEqual([false, [1, 1]]);

      wire.stall();
      // What the wire had taken before may still come at the first beat.
      for (let beats = 0; beats < 5; beats += 1) clock.advance(500);
      expect(before.ended).toBe(true);
      await untilUp(2);
      await right.until('s', before);
    } finally {
      receiving.close();
      await wire.close();
      await listener.close();
    }
  });

  it('are made anew by the connecting end while the listening end still has the old one', async () => {
    stage.left.publish('s', opus());
    stage.listening.send(['s']);
    const before = await stage.right.until('s');
    const streams = new Streams();
    const pipe = connectPipe({ path: stage.path }, stage.key, { streams, log: silentLog });
    await streams.until('s');
    await vi.waitUntil(() => before.ended);
    pipe.close();
  });

  it('need a key of 32 bytes, which no two pipes share', () => {
    expect(() => stage.listener.expect(randomBytes(16))).toThrow('32 bytes');
    expect(() => stage.listener.expect(stage.key)).toThrow('expected already');
  });
});
