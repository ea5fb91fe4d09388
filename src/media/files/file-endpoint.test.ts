import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Encoder } from '@evan/opus';
import { sine } from '../phone/testing/spectrum.js';
import { SampleStage } from '../program/testing/sample-stage.js';

let stage: SampleStage;
let folder: string;
beforeEach(async () => {
  stage = new SampleStage();
  folder = await mkdtemp(join(tmpdir(), 'patchbay-files-'));
});
afterEach(async () => {
  await stage.close();
  await rm(folder, { recursive: true });
});

async function write(pcm: Int16Array): Promise<string> {
  const path = join(folder, 'prompt');
  await writeFile(path, Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
  return path;
}

/** Turns to other work, such as reading files, between frames. */
async function run(frames: number): Promise<void> {
  for (let i = 0; i < frames; i += 1) {
    stage.run(1);
    if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('a file', () => {
  it('is played from its beginning once somebody hears it, to its end', async () => {
    const pcm = sine(440, 8000, 4000);
    const { track, events } = await stage.file({ path: await write(pcm) });
    await run(20);
    expect(events).toEqual([]);
    const listener = stage.program('listener').hear(track);
    await run(40);
    await vi.waitFor(() => expect(events).toEqual(['started', 'ended']));
    const { heard } = listener;
    // Its first frame had gone by when the listener came.
    expect(heard.slice(160, 4160)).toEqual(pcm);
    expect(heard.slice(4160).every((sample) => sample === 0)).toBe(true);
  });

  it('waits for a sink that passes packets on', async () => {
    const { track, events } = await stage.file({ path: await write(sine(440, 8000, 1600)) });
    const sink = { wantsAudio: false, packets: 0, onPacket: () => (sink.packets += 1) };
    track.attach(sink);
    await run(20);
    expect(events).toEqual([]);
    sink.wantsAudio = true;
    await run(40);
    await vi.waitFor(() => expect(events).toEqual(['started', 'ended']));
    expect(sink.packets).toBe(20);
  });

  it('is encoded once for all browsers that hear it, whenever each of them begins', async () => {
    const encode = vi.spyOn(Encoder.prototype, 'encode');
    const path = await write(sine(440, 8000, 8000));
    const payloads = await Promise.all(
      [0, 1, 2].map(async () => {
        const { track } = await stage.file({ path });
        const sink = {
          wantsAudio: false,
          heard: [] as string[],
          onPacket: (packet: Buffer, from: number, to: number) =>
            sink.heard.push(packet.toString('hex', from, to)),
        };
        track.attach(sink);
        return sink;
      }),
    );
    for (const sink of payloads) {
      sink.wantsAudio = true;
      await run(7);
    }
    await run(60);
    // The end is followed by silence, which each encodes for itself.
    const [first, ...others] = payloads.map(({ heard }) => heard.slice(0, 49));
    expect(first).toHaveLength(49);
    for (const other of others) expect(other).toEqual(first);
    expect(encode.mock.calls.length).toBeLessThan(49 + 3 * 13);
    encode.mockRestore();
  });

  it('is repeated without a gap as often as asked, at its volume', async () => {
    const pcm = sine(400, 8000, 1000);
    const { track, events } = await stage.file({ path: await write(pcm), times: 3, volume: 0.5 });
    const listener = stage.program('listener').hear(track);
    await run(30);
    const three = Int16Array.from([...pcm, ...pcm, ...pcm], (sample) => Math.round(sample * 0.5));
    expect(listener.heard.slice(160, 3160)).toEqual(three);
    expect(events).toEqual(['started', 'ended']);
  });

  it('of many seconds is read a piece ahead, and may go on for ever', async () => {
    const pcm = sine(440, 8000, 13 * 8000);
    const { track, events } = await stage.file({ path: await write(pcm), times: 0 });
    const listener = stage.program('listener').hear(track);
    await run(710);
    const { heard } = listener;
    expect(heard.slice(160, pcm.length + 160)).toEqual(pcm);
    expect(heard.slice(pcm.length + 160, 14 * 8000)).toEqual(pcm.slice(0, 7840));
    expect(events).toEqual(['started']);
  });

  it('that is not there, or empty, is refused', async () => {
    await expect(stage.file({ path: join(folder, 'nothing') })).rejects.toMatchObject({
      code: 'BAD_FILE',
      message: expect.stringContaining('ENOENT') as string,
    });
    await expect(stage.file({ path: await write(new Int16Array(0)) })).rejects.toMatchObject({
      code: 'BAD_FILE',
    });
  });

  it('is closed with its last listener', async () => {
    const path = await write(sine(440, 8000, 1600));
    const [one, other] = [await stage.file({ path }), await stage.file({ path })];
    await one.endpoint.close();
    const listener = stage.program('listener').hear(other.track);
    await run(20);
    expect(listener.received.filter((pcm) => pcm.some(Boolean)).length).toBeGreaterThanOrEqual(10);
    await other.endpoint.close();
    await other.endpoint.close();
    expect([other.track.ended, stage.listening]).toEqual([true, 1]);
  });
});
