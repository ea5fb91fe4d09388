import { expect, it } from 'vitest';
import { OPUS } from '../../src/media/codecs/opus.js';
import { opinionScore, transmissionRating } from '../../src/media/quality/e-model.js';
import { useHopStage } from '../support/hop-stage.js';
import type { HopNetwork } from '../support/lossy-hop.js';
import { readMetrics, sumOf } from '../support/metrics.js';
import { until } from '../support/until.js';

/** Of each direction, as REST shows it. */
interface Quality {
  readonly packets: number;
  readonly lost?: number;
  readonly jitterMs?: number;
  readonly roundTripMs?: number;
  readonly mos?: number;
  readonly mosIsEstimate?: boolean;
}

interface Device {
  readonly quality?: Record<'received' | 'sent', Quality>;
  readonly streams: readonly object[];
}

/** About six seconds. */
const PACKETS = 300;
const WITHIN_MS = 60_000;
/** Each way, of the page that listens. */
const DELAY_MS = 250;
const LOSS = 0.1;

const stage = useHopStage();

const lossy = (delayMs: number): HopNetwork => ({ loss: 0, losesOneOf: 1 / LOSS, delayMs });

/** What the formula makes of what the hop does. */
function scoreOf(delayMs: number): number {
  const rating = transmissionRating(OPUS.speechImpairment, { loss: LOSS, delayMs });
  return opinionScore(OPUS.speechImpairment.scale, rating);
}

it('tells of each call what loss and delay make of its sound, while it lasts and after', async () => {
  const { rest } = stage;
  const session = await rest.session();
  const speaker = await stage.open(session, lossy(0));
  await speaker.publishTone(440);
  const listener = await stage.open(session, lossy(DELAY_MS));
  await listener.hears(440);
  const members = (await rest.request('GET', `/sessions/${session}/participants`)) as { id: string }[];
  const devices = async (): Promise<[string, Device][]> =>
    Promise.all(
      members.map(async ({ id }) => [
        id,
        (await rest.request('GET', `/participants/${id}/device`)) as Device,
      ]),
    );
  const [from, to] = await until(
    'the quality both ways',
    async () => {
      const all = await devices();
      const [id, device] = all.find(([, { streams }]) => streams.length > 0) ?? [];
      const received = device?.quality?.received;
      const sent = all.find(([other]) => other !== id)?.[1].quality?.sent;
      const isMeasured =
        received &&
        sent &&
        received.packets > PACKETS &&
        sent.packets > PACKETS &&
        sent.roundTripMs !== undefined;
      return isMeasured ? ([received, sent] as const) : undefined;
    },
    { withinMs: WITHIN_MS, seen: devices },
  );
  // The packets that the one page lost are not counted as lost by the other.
  expect(from.lost! / (from.packets + from.lost!)).toBeCloseTo(LOSS, 2);
  expect(to.roundTripMs).toBeGreaterThanOrEqual(2 * DELAY_MS - 1);
  expect([from, to]).toMatchObject([{ mosIsEstimate: true }, { mosIsEstimate: true }]);
  // Nothing is sent to the page that speaks, so that its delay is not known.
  expect(Math.abs(from.mos! - scoreOf(0))).toBeLessThan(0.1);
  // A busy machine adds to the delay of the hop.
  expect(Math.abs(to.mos! - scoreOf(to.roundTripMs! / 2))).toBeLessThan(0.1);

  await speaker.disconnect();
  const records = async () =>
    ((await rest.request('GET', '/usage')) as { items: { endedAt?: string; quality?: Device['quality'] }[] })
      .items;
  const [record] = await until(
    'a closed usage record with what was measured at last',
    async () => {
      const closed = (await records()).filter(({ endedAt }) => endedAt !== undefined);
      const packets = closed[0]?.quality?.received.packets ?? 0;
      return packets >= from.packets ? closed : undefined;
    },
    { withinMs: WITHIN_MS, seen: records },
  );
  expect(record?.quality?.received.lost).toBeGreaterThanOrEqual(from.lost!);
  const metrics = await readMetrics(stage.gateway);
  expect(sumOf(metrics, 'patchbay_audio_mos_count{kind="browser",direction="received"}')).toBe(1);
  expect(sumOf(metrics, 'patchbay_rtcp_ignored_total')).toBe(0);
}, 150_000);
