import type { Delivery } from '../../core/index.js';
import type { Channel } from './dialects/index.js';

const MAX_NUMBER = 0xffff;

/** The streams that a program receives, each under a number. */
export class Channels {
  readonly #byStream = new Map<string, Channel>();
  #lastNumber = 0;

  get present(): Iterable<Channel> {
    return this.#byStream.values();
  }

  of(streamId: string): Channel | undefined {
    return this.#byStream.get(streamId);
  }

  /** @returns what came and what went */
  update(delivery: Delivery): { readonly opened: readonly Channel[]; readonly closed: readonly Channel[] } {
    const audible = delivery.filter(({ mediaTypes }) => mediaTypes.includes('audio'));
    const streamIds = new Set(audible.map(({ streamId }) => streamId));
    const closed = [...this.#byStream.values()].filter(({ streamId }) => !streamIds.has(streamId));
    for (const { streamId } of closed) this.#byStream.delete(streamId);
    const opened = audible
      .filter(({ streamId }) => !this.#byStream.has(streamId))
      .map(({ streamId, participantId, alias }): Channel => {
        const number = this.#freeNumber();
        const channel = { number, streamId, participantId, ...(alias !== undefined && { alias }) };
        this.#byStream.set(streamId, channel);
        return channel;
      });
    return { opened, closed };
  }

  #freeNumber(): number {
    const taken = new Set([...this.#byStream.values()].map(({ number }) => number));
    do this.#lastNumber = (this.#lastNumber % MAX_NUMBER) + 1;
    while (taken.has(this.#lastNumber));
    return this.#lastNumber;
  }
}
