import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Backlog, StreamConnection, type ConnectionFault } from './connection.js';
import { StreamFramer } from './stream-framer.js';

const LIMITS = {
  firstMs: 10_000,
  idleMs: 60_000,
  messageMs: 30_000,
  maxQueuedBytes: 1000,
  maxQueuedInAll: 50_000,
};
const END = { host: '127.0.0.1', port: 5060 };

/** A socket whose peer never reads. */
class DeafSocket extends Duplex {
  override _read(): void {
    // Whatever is to be received is pushed.
  }
  override _write(): void {
    // Never done.
  }
  setNoDelay(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  destroySoon(): void {
    this.destroy();
  }
}

let faults: ConnectionFault[];
let valid: boolean;

function connect(backlog: Backlog = { bytes: 0 }, limits: Partial<typeof LIMITS> = {}, ours = false) {
  const socket = new DeafSocket();
  const connection = new StreamConnection(
    'tcp',
    socket as unknown as Socket,
    { local: END, remote: END },
    ours,
    { ...LIMITS, ...limits },
    backlog,
    {
      received: () => valid,
      broken: () => undefined,
      heard: () => undefined,
      fault: (fault) => faults.push(fault),
      closed: () => undefined,
    },
  );
  return { socket, connection, gone: once(socket, 'close') };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  faults = [];
  valid = true;
});
afterEach(() => vi.useRealTimers());

const MESSAGE = Buffer.from('OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n');

async function receive(socket: DeafSocket, bytes: Buffer): Promise<void> {
  socket.push(bytes);
  await new Promise((resolve) => setImmediate(resolve));
}

describe('a connection', () => {
  it('is closed without one valid message in time, keep-alives and nonsense notwithstanding', async () => {
    valid = false;
    const { socket, gone } = connect();
    await receive(socket, Buffer.from('\r\n\r\n'));
    await receive(socket, MESSAGE);
    vi.advanceTimersByTime(9_999);
    expect(socket.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    await gone;
    expect(faults).toEqual(['silent']);
  });

  it('stays after a valid message', async () => {
    const { socket } = connect();
    await receive(socket, MESSAGE);
    vi.advanceTimersByTime(100_000);
    expect(socket.destroyed).toBe(false);
  });

  it('that we open is given up when it does not come about in time', async () => {
    const { gone } = connect({ bytes: 0 }, {}, true);
    vi.advanceTimersByTime(10_000);
    await gone;
    const { socket } = connect({ bytes: 0 }, {}, true);
    socket.emit('connect');
    vi.advanceTimersByTime(100_000);
    expect(socket.destroyed).toBe(false);
  });

  it('is closed when a message trickles, however often a byte comes', async () => {
    const { socket, gone } = connect();
    await receive(socket, MESSAGE);
    for (let at = 0; at < 31; at += 1) {
      await receive(socket, MESSAGE.subarray(at, at + 1));
      vi.advanceTimersByTime(1000);
    }
    await gone;
    expect(faults).toEqual(['half']);
  });

  it('stays when messages come one after the other, each begun before the next look', async () => {
    const { socket } = connect();
    const half = MESSAGE.length / 2;
    await receive(socket, MESSAGE.subarray(0, half));
    for (let second = 0; second < 90; second += 1) {
      await receive(socket, Buffer.concat([MESSAGE.subarray(half), MESSAGE.subarray(0, half)]));
      vi.advanceTimersByTime(1000);
    }
    expect(socket.destroyed).toBe(false);
  });

  it('is closed when its peer does not read', async () => {
    const backlog = { bytes: 0 };
    const { connection, gone } = connect(backlog);
    for (let i = 0; i < 11; i += 1) connection.send(Buffer.alloc(100));
    await gone;
    expect(faults).toEqual(['unread']);
    expect(backlog.bytes).toBe(0);
  });

  it('is closed sooner when too much waits for all together', async () => {
    const backlog = { bytes: 0 };
    const limits = { maxQueuedBytes: 40_000 };
    const modest = connect(backlog, limits);
    const greedy = connect(backlog, limits);
    modest.connection.send(Buffer.alloc(16_000));
    greedy.connection.send(Buffer.alloc(30_000));
    greedy.connection.send(Buffer.alloc(5_000));
    await greedy.gone;
    expect(modest.socket.destroyed).toBe(false);
    expect(backlog.bytes).toBe(16_000);
  });
});

describe('the cutter of a stream', () => {
  it('takes bytes one by one for what they cost', () => {
    const cutter = new StreamFramer();
    const copy = vi.spyOn(Buffer.prototype, 'copy');
    const body = Buffer.alloc(100_000, 'x');
    const message = Buffer.concat([
      Buffer.from('INFO sip:a SIP/2.0\r\nContent-Length: 100000\r\n\r\n'),
      body,
    ]);
    copy.mockClear();
    const pieces = Array.from({ length: message.length }, (_, at) =>
      cutter.push(message.subarray(at, at + 1)),
    ).flat();
    const results = copy.mock.results as readonly { readonly value: unknown }[];
    const copied = results.reduce((sum, { value }) => sum + Number(value), 0);
    copy.mockRestore();
    expect(pieces.map((piece) => piece.kind === 'message' && piece.bytes.equals(message))).toEqual([true]);
    expect(copied).toBeLessThan(message.length * 4);
  });

  it('makes one of many pings', () => {
    const kinds = new StreamFramer()
      .push(Buffer.concat([Buffer.from('\r\n'.repeat(9999)), MESSAGE]))
      .map(({ kind }) => kind);
    expect(kinds).toEqual(['ping', 'message']);
  });
});
