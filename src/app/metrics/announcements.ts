import { Counter, Gauge, type Registry } from 'prom-client';
import type { AnnouncementsPart } from '../../announcements/index.js';

/** Adds what the gateway itself plays to the metrics. */
export function measureAnnouncements(metrics: Registry, part: AnnouncementsPart): void {
  const counts = (): ReturnType<AnnouncementsPart['counts']> => part.counts();
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_sounds_playing',
    help: 'Sounds that the gateway plays now, counted for each device that hears one',
    labelNames: ['purpose'],
    registers,
    collect() {
      for (const [purpose, count] of Object.entries(counts().playing)) this.set({ purpose }, count);
    },
  });
  gauge('patchbay_sound_cache_bytes', 'Decoded sounds on disk', () => counts().cacheBytes);
  gauge('patchbay_uploaded_bytes', 'Files of applications that can be played', () => counts().uploadBytes);
  gauge('patchbay_media_fetches', 'Files that are being fetched', () => counts().fetching);
  counter('patchbay_sounds_refused_total', 'Sounds not played, as too many play', () => counts().refused);
  counter('patchbay_sounds_decoded_total', 'Files decoded, in vain or not', () => counts().decodings);
  new Counter({
    name: 'patchbay_media_fetches_total',
    help: 'Files fetched, by result',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset();
      this.inc({ outcome: 'fetched' }, counts().fetched);
      this.inc({ outcome: 'failed' }, counts().fetchesFailed);
    },
  });

  function gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  }

  function counter(name: string, help: string, value: () => number): void {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  }
}
