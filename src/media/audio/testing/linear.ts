import type { AudioCodec, SampleRate } from '../../codecs/index.js';
import type { PublishedTrack } from '../../track.js';
import type { MixFormat } from '../mix-group.js';
import type { MixGroups } from '../mix-groups.js';
import { DeviceMix } from '../device-mix.js';

/** What was encoded into each payload. */
const encoded = new WeakMap<Buffer, Int16Array>();

/** Encodes samples as they are, so that a test sees exactly what was mixed. */
export function linear(rate: SampleRate, encoderMemory: AudioCodec['encoderMemory'] = 'none'): AudioCodec {
  return {
    name: `L16-${encoderMemory}`,
    clockRate: rate,
    channels: 1,
    ptimes: [10, 20, 30, 40, 60],
    duration: (_packet, start, end) => (end - start) / 2,
    mixRate: () => rate,
    createDecoder: () => {
      throw new Error('not needed');
    },
    speechImpairment: { scale: 'narrowband', ie: 0, bpl: 25.1 },
    createLevelMeter: () => () => Number.NaN,
    hasCheapLevel: true,
    encoderMemory,
    createEncoder: () => ({
      encode: (pcm, samples, out) => {
        encoded.set(out, pcm.slice(0, samples));
        return 2 * samples;
      },
      ...(encoderMemory === 'copied' ? { follow: () => undefined } : {}),
    }),
  };
}

/** One who listens to a mix and hears its samples. */
export class Listener {
  readonly rate: SampleRate;
  readonly mix: DeviceMix;

  constructor(groups: MixGroups, rate: SampleRate, own?: PublishedTrack, format: Partial<MixFormat> = {}) {
    this.rate = rate;
    const key = `${format.codec?.name ?? ''} ${rate}`;
    this.mix = new DeviceMix(groups, {
      codec: linear(rate),
      rate,
      fmtp: undefined,
      ptime: 20,
      key,
      ...format,
    });
    this.mix.setOwn(own);
  }

  /** Writes a frame to `out` from `at`. */
  hear(frame: number, out = new Int16Array(this.rate / 50), at = 0): Int16Array {
    const group = this.mix.run(frame);
    if (group.ready > 0) out.set(encoded.get(group.buffers[0]!)!, at);
    return out;
  }
}
