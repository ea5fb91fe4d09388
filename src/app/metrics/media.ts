import { Counter, Gauge, type Registry } from 'prom-client';
import type { MediaPlane } from '../../media/index.js';

/** Shows in the metrics whether the media plane keeps up. Read when they are asked for. */
export function measureMedia(metrics: Registry, media: Pick<MediaPlane, 'load' | 'counters'>): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_mix_lateness_seconds',
    help: 'How late phones’ mixes were made: the worst of the last one to two seconds',
    registers,
    collect() {
      this.set(media.load().mixLatenessMs / 1000);
    },
  });
  new Counter({
    name: 'patchbay_mix_frames_skipped_total',
    help: '20 ms frames of all phones’ mixes that were not made, because they were too late',
    registers,
    collect() {
      this.reset();
      this.inc(media.load().framesSkipped);
    },
  });
  new Counter({
    name: 'patchbay_rtp_strangers_total',
    help: 'Datagrams to phones’ media ports from sources that were not believed',
    registers,
    collect() {
      this.reset();
      this.inc(media.counters().strangers);
    },
  });
  new Counter({
    name: 'patchbay_rtp_frames_withheld_total',
    help: '20 ms frames that were not sent to phones’ announced addresses, which had given no sign, or not yet',
    registers,
    collect() {
      this.reset();
      this.inc(media.counters().framesWithheld);
    },
  });
}
