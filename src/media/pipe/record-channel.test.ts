import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Incoming } from './incoming.js';
import { RecordChannel } from './record-channel.js';

const FRAME = 7;

describe('records', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** @returns a channel, and the lengths of the records that it wrote */
  function channel(): { readonly channel: RecordChannel; readonly records: number[] } {
    const records: number[] = [];
    const socket = new Socket();
    socket.write = (bytes: string | Uint8Array) => records.push(bytes.length) > 0;
    const keys = { sending: randomBytes(32), receiving: randomBytes(32) };
    const handlers = { onOpen: vi.fn(), onFrame: vi.fn(), onClosed: vi.fn() };
    const counts = { bytesSent: 0, bytesReceived: 0 };
    return { channel: new RecordChannel(socket, new Incoming(), keys, counts, handlers), records };
  }

  it('go out at the end of the turn after a pause, and else 3 ms after the one before, with all that came meanwhile', async () => {
    const { channel: sender, records } = channel();
    await vi.advanceTimersByTimeAsync(0);
    expect(records).toHaveLength(1); // The proof of the key.

    await vi.advanceTimersByTimeAsync(50);
    sender.reserve(FRAME, 100);
    await vi.advanceTimersByTimeAsync(0);
    expect(records).toHaveLength(2);

    for (let ms = 0; ms < 2; ms += 1) {
      sender.reserve(FRAME, 100);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(records).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(2);
    expect(records).toHaveLength(3);
    expect(records[2]! - records[1]!).toBe(3 + 100); // A second frame.

    await vi.advanceTimersByTimeAsync(50);
    expect(records).toHaveLength(3);
  });

  it('go out at once when the next frame does not fit', async () => {
    const { channel: sender, records } = channel();
    await vi.advanceTimersByTimeAsync(0);
    for (let i = 0; i < 3; i += 1) sender.reserve(FRAME, 32 * 1024);
    expect(records).toHaveLength(2 + 1);
  });
});
