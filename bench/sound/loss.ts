/** How intelligible real speech is after loss, concealed as in mixes, beside silence in its gaps. */
import { spoken } from '../../src/media/audio/testing/spoken.js';
import { stoi } from '../../src/media/audio/testing/stoi.js';
import { AUDIO_CODECS } from '../../src/media/codecs/index.js';
import { LOSS_PATTERNS, packetsOf, throughLoss } from '../../src/media/codecs/testing/loss.js';

const SEEDS = [1, 2, 3, 4];

export function loss(): void {
  console.log('STOI of speech after loss (1: as without): concealed / silence in the gaps');
  for (const codec of AUDIO_CODECS) {
    const rate = codec.mixRate();
    const speech = spoken(rate);
    const packets = packetsOf(speech, rate);
    const whole = throughLoss(codec, rate, speech, new Array<boolean>(packets).fill(false), 'silence');
    for (const { name, lost } of LOSS_PATTERNS) {
      const [concealed, silent] = (['concealment', 'silence'] as const).map((fill) => {
        const scores = SEEDS.map((seed) =>
          stoi(whole, throughLoss(codec, rate, speech, lost(packets, seed), fill), rate),
        );
        return scores.reduce((sum, score) => sum + score, 0) / scores.length;
      });
      console.log(
        `${codec.name.padEnd(5)} ${name.padEnd(19)} ${concealed!.toFixed(3)} / ${silent!.toFixed(3)}`,
      );
    }
  }
}
