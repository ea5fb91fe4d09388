import { expect, it } from 'vitest';
import type { ClientPage } from '../support/chromium.js';
import { useHopStage } from '../support/hop-stage.js';

type Colour = readonly [number, number, number];
const RED: Colour = [220, 0, 0];
const GREEN: Colour = [0, 200, 0];
const BLUE: Colour = [0, 0, 220];
/** Of each drawing: a second and a half. */
const FRAMES = 30;
const CODECS = ['VP8', 'VP9', 'H264', 'AV1'];

const stage = useHopStage();

it(
  'shows a still picture to a later subscriber, with any codec, and the pictures after it',
  { timeout: 90_000 },
  async () => {
    const session = await stage.rest.session();
    const painters = await Promise.all(
      CODECS.map(async (codec) => {
        const page = await stage.open(session, { loss: 0 });
        await page.preferVideo(codec);
        await page.publish({ still: true, alias: codec });
        return page;
      }),
    );
    const paint = (colour: Colour, frames: number): Promise<unknown> =>
      Promise.all(painters.map((painter) => painter.paint(colour, frames)));
    await paint(GREEN, FRAMES);

    // Nobody received it while it was drawn.
    const away = { loss: 0 };
    const viewers = [
      await stage.open(session, away),
      await stage.open(session, { loss: 0 }, { client: '0.9' }),
    ] as const;
    const streams = await Promise.all(
      CODECS.map(async (alias) => (await viewers[0].receives({ alias })).streamId),
    );
    const see = (colour: Colour, viewer: ClientPage): Promise<unknown> =>
      Promise.all(streams.map((streamId) => viewer.seesColour(streamId, colour, 20_000)));
    const decoded = async (): Promise<number[]> => {
      const counters = viewers.flatMap((viewer) => streams.map((streamId) => viewer.counters(streamId)));
      return (await Promise.all(counters)).map(({ video }) => video?.framesDecoded ?? 0);
    };
    await Promise.all(viewers.map((viewer) => see(GREEN, viewer)));
    const codecs = await Promise.all(streams.map((streamId) => viewers[0].counters(streamId)));
    expect(codecs.map(({ video }) => video?.codec)).toEqual(CODECS.map((codec) => `video/${codec}`));

    const before = await decoded();
    await paint(RED, FRAMES);
    await Promise.all(viewers.map((viewer) => see(RED, viewer)));
    for (const [i, frames] of (await decoded()).entries())
      expect(frames).toBeGreaterThan(before[i]! + FRAMES / 2);

    // A page whose network was lost during a change sees the change, and the pictures after it.
    away.loss = 1;
    await paint(BLUE, FRAMES);
    await see(BLUE, viewers[1]);
    away.loss = 0;
    await see(BLUE, viewers[0]);
    await paint(GREEN, FRAMES);
    await Promise.all(viewers.map((viewer) => see(GREEN, viewer)));
  },
);
