import { Counter, Gauge, type Registry } from 'prom-client';
import type { MediaPlane } from '../../media/index.js';

/** Adds the load and the counters of the media plane to the metrics. */
export function measureMedia(metrics: Registry, media: Pick<MediaPlane, 'load' | 'counters'>): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_mix_lateness_seconds',
    help: 'How late phones’ mixes were made: the maximum of the last one to two seconds',
    registers,
    collect() {
      this.set(media.load().mixLatenessMs / 1000);
    },
  });
  new Counter({
    name: 'patchbay_mix_frames_skipped_total',
    help: '20 ms frames of all phones’ mixes that were skipped because they were too late',
    registers,
    collect() {
      this.reset();
      this.inc(media.load().framesSkipped);
    },
  });
  new Counter({
    name: 'patchbay_rtp_strangers_total',
    help: 'Datagrams to phones’ media ports that were dropped for their source address',
    registers,
    collect() {
      this.reset();
      this.inc(media.counters().strangers);
    },
  });
  new Counter({
    name: 'patchbay_rtp_frames_withheld_total',
    help: '20 ms frames that were not sent because nothing has come from the phone’s announced address',
    registers,
    collect() {
      this.reset();
      this.inc(media.counters().framesWithheld);
    },
  });
}
