/**
 * The E-model: how good a listener finds a connection, from loss, delay and codec. ITU-T G.107 (06/2015) for narrowband,
 * G.107.1 (06/2019) for wideband, G.107.2 (06/2019) for fullband speech. Each has a scale of its own: an opinion score
 * of 4.3 for wideband speech means more than 4.3 for narrowband.
 */
import type { SpeechImpairment, SpeechScale } from '../codecs/index.js';

/** What a connection does to speech. */
interface Transmission {
  /** Share of the speech that is missing, 0 to 1, lost at random. */
  readonly loss: number;
  /** One way, in ms. */
  readonly delayMs: number;
}

/** The transmission rating factor R of a scale; 0 and less is unusable. */
export function transmissionRating(codec: SpeechImpairment, { loss, delayMs }: Transmission): number {
  const { best, delayWeight, lossCeiling } = SCALES[codec.scale];
  const percent = 100 * Math.min(1, Math.max(0, loss));
  // Ie,eff with BurstR 1 (G.107 equation 7-29, G.107.1 equation 7-15).
  const equipment = codec.ie + ((lossCeiling - codec.ie) * percent) / (percent + codec.bpl);
  const echo = codec.scale === 'narrowband' ? echoImpairment(delayMs) : 0;
  return best - echo - delayWeight * delayImpairment(delayMs) - equipment;
}

/** The mean opinion score, 1 to 4.5, of a rating (G.107 annex B, G.107.1 and G.107.2 annex A). */
export function opinionScore(scale: SpeechScale, rating: number): number {
  const r = rating / SCALES[scale].ratingUnit;
  if (r <= 0) return 1;
  if (r >= 100) return 4.5;
  // The polynomial is a little below 1 for ratings under 6.5.
  return Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6);
}

/** G.107 table 2: the default values, by the names of the Recommendation. */
const SLR = 8;
const RLR = 2;
const STMR = 15;
const LSTR = 18;
const DS = 3;
const TELR = 65;
const WEPL = 110;
const QDU = 1;
const PS = 35;
const PR = 35;
const NFOR = -64;
const NC = -70;

const { log10, exp, sqrt } = Math;
/** Adds levels in dB as powers. */
const powerSum = (...levels: readonly number[]): number =>
  10 * log10(levels.reduce((sum, level) => sum + 10 ** (level / 10), 0));

/** No: the sum of all noise (section 7.2). */
const NOISE = powerSum(
  NC,
  PS - SLR - DS - 100 + 0.004 * (PS - (SLR + RLR) - DS - 14) ** 2,
  roomNoiseAtReceiver(),
  NFOR + RLR,
);

/** Ro: the basic signal-to-noise ratio. */
const SIGNAL_TO_NOISE = 15 - 1.5 * (SLR + NOISE);

function roomNoiseAtReceiver(): number {
  const effective = PR + 10 * log10(1 + 10 ** ((10 - LSTR) / 10));
  return RLR - 121 + effective + 0.008 * (effective - 35) ** 2;
}

/** Is: what happens together with speech, such as quantisation (section 7.3). */
function simultaneousImpairment(): number {
  const x = SLR + RLR + 0.2 * (64 + NOISE - RLR);
  const loudness = 20 * ((1 + (x / 8) ** 8) ** (1 / 8) - x / 8);
  // The echo's part of the sidetone is far below it at the default TELR, whatever the delay.
  const stmr = -10 * log10(10 ** (-STMR / 10) + 10 ** (-TELR / 10));
  const sidetone =
    12 * (1 + ((stmr - 13) / 6) ** 8) ** (1 / 8) -
    28 * (1 + ((stmr + 1) / 19.4) ** 35) ** (1 / 35) -
    13 * (1 + ((stmr - 3) / 33) ** 13) ** (1 / 13) +
    29;
  const q = 37 - 15 * log10(QDU);
  const g = 1.07 + 0.258 * q + 0.0602 * q ** 2;
  const y = (SIGNAL_TO_NOISE - 100) / 15 + 46 / 8.4 - g / 9;
  const z = 46 / 30 - g / 40;
  return loudness + sidetone + 15 * log10(1 + 10 ** y + 10 ** z);
}

/** Idte + Idle: talker and listener echo at the default losses of the echo's way (section 7.4). */
function echoImpairment(delayMs: number): number {
  const telrEffective =
    TELR - 40 * log10((1 + delayMs / 10) / (1 + delayMs / 150)) + 6 * exp(-0.3 * delayMs ** 2);
  const margin = (-1.5 * (NOISE - RLR) - (80 + 2.5 * (telrEffective - 14))) / 2;
  const talker = (margin + sqrt(margin ** 2 + 100) - 1) * (1 - exp(-delayMs));
  const listenerMargin = (SIGNAL_TO_NOISE - 10.5 * (WEPL + 7) * (2 * delayMs + 1) ** -0.25) / 2;
  return talker + listenerMargin + sqrt(listenerMargin ** 2 + 169);
}

/** Idd: delay that is too long even without echo (equation 7-27). */
function delayImpairment(delayMs: number): number {
  if (delayMs <= 100) return 0;
  const x = log10(delayMs / 100) / log10(2);
  return 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2);
}

interface ScaleShape {
  /** R without delay, loss and codec. */
  readonly best: number;
  /** Factor of Idd. */
  readonly delayWeight: number;
  /** What the equipment takes away when everything is lost. */
  readonly lossCeiling: number;
  /** By what R is divided before it becomes an opinion score. */
  readonly ratingUnit: number;
}

const SCALES: Readonly<Record<SpeechScale, ScaleShape>> = {
  narrowband: {
    best: SIGNAL_TO_NOISE - simultaneousImpairment(),
    delayWeight: 1,
    lossCeiling: 95,
    ratingUnit: 1,
  },
  wideband: { best: 129, delayWeight: 1, lossCeiling: 95, ratingUnit: 1.29 },
  fullband: { best: 148, delayWeight: 1.48, lossCeiling: 132, ratingUnit: 1.48 },
};
