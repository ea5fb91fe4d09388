import type { SpeechImpairment } from '../codecs/index.js';
import type { DirectionQuality } from '../types.js';
import { opinionScore, transmissionRating } from './e-model.js';

/** What was counted and measured of one stream, or of several together; what was not measured is absent. */
export interface StreamFigures {
  readonly packets: number;
  readonly lost?: number | undefined;
  readonly discarded?: number | undefined;
  readonly jitterMs?: number | undefined;
  readonly roundTripMs?: number | undefined;
  readonly concealedMs?: number | undefined;
  readonly levelDb?: number | undefined;
  /** Packets that could have come, as far as it is known which did not. */
  readonly expected?: number | undefined;
  /** Absent: no opinion score is computed. */
  readonly codec?: SpeechImpairment | undefined;
}

/** Fewer packets (one second) say nothing of how a call sounds. */
const MIN_EXPECTED = 50;

const added = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : a + (b ?? 0);

/** The counts of two streams. What cannot be added is left out. */
export function addFigures(a: StreamFigures, b: StreamFigures): StreamFigures {
  return {
    packets: a.packets + b.packets,
    lost: added(a.lost, b.lost),
    discarded: added(a.discarded, b.discarded),
    concealedMs: added(a.concealedMs, b.concealedMs),
    expected: added(a.expected, b.expected),
  };
}

/** The quality of all streams of one direction. */
export function directionQuality(streams: readonly StreamFigures[]): DirectionQuality {
  const total = streams.reduce(addFigures, { packets: 0 });
  const worst = (of: (stream: StreamFigures) => number | undefined): number | undefined => {
    const known = streams.map(of).filter((value) => value !== undefined);
    return known.length === 0 ? undefined : Math.max(...known);
  };
  return {
    packets: total.packets,
    ...rounded('lost', total.lost, 0),
    ...rounded('discarded', total.discarded, 0),
    ...rounded(
      'jitterMs',
      worst(({ jitterMs }) => jitterMs),
      1,
    ),
    ...rounded(
      'roundTripMs',
      worst(({ roundTripMs }) => roundTripMs),
      1,
    ),
    ...rounded('concealedMs', total.concealedMs, 0),
    ...rounded(
      'levelDb',
      worst(({ levelDb }) => levelDb),
      1,
    ),
    ...scoreOf(streams),
  };
}

function rounded(
  name: keyof DirectionQuality,
  value: number | undefined,
  decimals: number,
): Partial<DirectionQuality> {
  if (value === undefined || !Number.isFinite(value)) return {};
  const unit = 10 ** decimals;
  return { [name]: Math.round(value * unit) / unit };
}

/** The mean of the streams' scores, weighted by their packets. */
function scoreOf(streams: readonly StreamFigures[]): Pick<DirectionQuality, 'mos' | 'mosIsEstimate'> {
  let weight = 0;
  let sum = 0;
  let isEstimate = false;
  for (const { codec, lost, discarded = 0, expected = 0, roundTripMs } of streams) {
    if (!codec || lost === undefined || expected < MIN_EXPECTED) continue;
    const loss = (lost + discarded) / expected;
    // Without a round trip it is the score of listening: delay spoils conversations only.
    const rating = transmissionRating(codec, { loss, delayMs: (roundTripMs ?? 0) / 2 });
    sum += expected * opinionScore(codec.scale, rating);
    weight += expected;
    isEstimate ||= codec.isEstimate === true;
  }
  if (weight === 0) return {};
  return { ...rounded('mos', sum / weight, 2), ...(isEstimate && { mosIsEstimate: true }) };
}
