/** What noise suppression does to noise in pauses, and to speech: steady noise, and voices of others (babble). */
import { levelDb, noise } from '../../src/media/audio/testing/signals.js';
import { createRnnoise, loadRnnoise, RNNOISE_FRAME } from '../../src/media/audio/rnnoise.js';
import { spoken } from '../../src/media/audio/testing/spoken.js';
import { stoi } from '../../src/media/audio/testing/stoi.js';

const RATE = 48_000;
const LEAD = 2 * RATE;
/** RNNoise is late by two frames. */
const DELAY = 2 * RNNOISE_FRAME;
const LEVELS = [0.003, 0.01, 0.02, 0.03, 0.1];
const VOICES = 6;

export async function suppression(): Promise<void> {
  await loadRnnoise();
  const speech = spoken(RATE);
  const clean = new Int16Array(LEAD + speech.length);
  clean.set(speech, LEAD);
  const kinds = { white: noise(1 / 8, clean.length), babble: babble(speech, clean.length) };
  console.log('Noise suppression: noise lowered in pauses, and STOI of speech in it without and with it');
  for (const [kind, sound] of Object.entries(kinds)) {
    for (const rms of LEVELS) {
      const factor = rms / 10 ** (levelDb(sound) / 20);
      const noisy = clean.map((sample, i) => sample + Math.round(sound[i]! * factor));
      const { out, us } = suppressed(noisy);
      const lowered = levelDb(noisy, RATE, LEAD - DELAY) - levelDb(out, RATE, LEAD - DELAY);
      const [without, withIt] = [noisy, out].map((pcm) => stoi(speech, pcm.subarray(LEAD), RATE));
      const level = (20 * Math.log10(rms)).toFixed(0);
      console.log(
        `${kind.padEnd(7)} ${level.padStart(4)} dBov  ${lowered.toFixed(1).padStart(5)} dB` +
          `  ${without!.toFixed(3)} / ${withIt!.toFixed(3)}  ${(us / 100).toFixed(1)} % of a core`,
      );
    }
  }
}

/** Several who say the same at other times. */
function babble(speech: Int16Array, length: number): Int16Array {
  return Int16Array.from({ length }, (_, i) => {
    let sum = 0;
    for (let voice = 0; voice < VOICES; voice += 1)
      sum += speech[(i + Math.floor((voice * speech.length) / VOICES)) % speech.length]!;
    return sum / VOICES;
  });
}

/** @returns the sound in step with what it was, and the processor time for 10 ms of it, in µs */
function suppressed(pcm: Int16Array): { out: Int16Array; us: number } {
  const rnnoise = createRnnoise()!;
  const out = new Float32Array(pcm.length + DELAY);
  const frames = Math.floor(pcm.length / RNNOISE_FRAME);
  const before = process.cpuUsage();
  for (let frame = 0; frame < frames; frame += 1) rnnoise.process(pcm, out, frame * RNNOISE_FRAME);
  const { user, system } = process.cpuUsage(before);
  rnnoise.free();
  const clipped = Int16Array.from(out.subarray(DELAY), (x) =>
    Math.max(-32768, Math.min(32767, Math.round(x))),
  );
  return { out: clipped, us: (user + system) / frames };
}
