import { type Signal, signal } from '@preact/signals';
import type { GatewayEvent } from '../../gateway/events.js';

/** Nothing at all, in dB relative to full scale. */
export const SILENCE_DB = -127;

/** A level that is not told again for so long is silence. */
const OLD_MS = 1_000;

/** How loud the streams of a session are, and in which of them somebody speaks. */
export class Levels {
  readonly #levels = new Map<string, Signal<number>>();
  readonly #speaking = new Map<string, Signal<boolean>>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  /** In dB relative to full scale. */
  of(streamId: string): Signal<number> {
    return kept(this.#levels, streamId, SILENCE_DB);
  }

  speaking(streamId: string): Signal<boolean> {
    return kept(this.#speaking, streamId, false);
  }

  happened({ type, data }: GatewayEvent): void {
    if (type === 'speaking') {
      const { streamId, speaking } = data as { streamId: string; speaking: boolean };
      this.speaking(streamId).value = speaking;
    }
    if (type !== 'levels') return;
    for (const { streamId, levelDb } of data['levels'] as { streamId: string; levelDb: number }[]) {
      this.of(streamId).value = levelDb;
      clearTimeout(this.#timers.get(streamId));
      const silence = (): void => {
        this.of(streamId).value = SILENCE_DB;
      };
      this.#timers.set(streamId, setTimeout(silence, OLD_MS));
    }
  }
}

function kept<T>(signals: Map<string, Signal<T>>, streamId: string, first: T): Signal<T> {
  const known = signals.get(streamId) ?? signal(first);
  signals.set(streamId, known);
  return known;
}
