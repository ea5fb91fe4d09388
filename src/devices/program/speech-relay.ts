import type { Core, CoreEvents } from '../../core/index.js';

/** A program that is told who speaks in the streams that it receives. */
interface Hearer {
  heardSpeech(streamId: string, speech: CoreEvents['speaking'][0]): void;
}

/** Passes the core's events about speech on to the programs that receive the stream. */
export class SpeechRelay {
  readonly #hearers = new Map<string, Set<Hearer>>();

  constructor(core: Pick<Core, 'on'>) {
    core.on('speaking', (event) => {
      for (const hearer of this.#hearers.get(event.streamId) ?? []) hearer.heardSpeech(event.streamId, event);
    });
  }

  add(streamId: string, hearer: Hearer): void {
    const hearers = this.#hearers.get(streamId) ?? new Set();
    this.#hearers.set(streamId, hearers.add(hearer));
  }

  remove(streamId: string, hearer: Hearer): void {
    const hearers = this.#hearers.get(streamId);
    hearers?.delete(hearer);
    if (hearers?.size === 0) this.#hearers.delete(streamId);
  }
}
