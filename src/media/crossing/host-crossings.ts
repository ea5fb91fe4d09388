import { type Log, withFields } from '../../shared/index.js';
import type { CrossingCounters, MediaCrossing } from '../door.js';
import type { RemoteStreams } from '../live-streams.js';
import {
  connectPipe,
  listenForPipes,
  type Pipe,
  type PipeListener,
  type SendingPipe,
} from '../pipe/index.js';
import { countersOf, NO_CROSSINGS, sumOfCrossings } from './counters.js';

/**
 * How long a pipe is kept that nothing goes by any more: the next call between the two gateways may come soon, and making one
 * would delay its first words.
 */
const LINGER_MS = 60_000;

/** What goes between this host and one of another gateway. */
export type HostCrossing = Omit<MediaCrossing, 'host'>;

/** One end of a pipe, and what it was made for. */
class End<P extends Pipe> {
  readonly pipe: P;
  readonly made: string;
  #closing: NodeJS.Timeout | undefined;

  constructor(pipe: P, made: string) {
    this.pipe = pipe;
    this.made = made;
  }

  /** It is needed. */
  keep(): void {
    clearTimeout(this.#closing);
    this.#closing = undefined;
  }

  /** It is not needed at present. */
  release(close: () => void): void {
    this.#closing ??= setTimeout(close, LINGER_MS).unref();
  }
}

/** The pipes between one host and hosts of other gateways, on other machines: one to each, and one from each. */
export class HostCrossings {
  readonly #streams: RemoteStreams;
  readonly #log: Log;
  #address: string | undefined;
  #listener: PipeListener | undefined;
  readonly #sending = new Map<string, End<SendingPipe>>();
  readonly #receiving = new Map<string, End<Pipe>>();
  /** Of pipes that were closed, and listeners. */
  #past = NO_CROSSINGS;

  constructor(parts: { readonly streams: RemoteStreams; readonly log: Log }) {
    this.#streams = parts.streams;
    this.#log = parts.log;
  }

  /**
   * Takes pipes of other machines at an address of this one, in place of the address before; absent: nowhere.
   * @returns the port; absent when nothing can listen there
   */
  async listen(address: string | undefined): Promise<number | undefined> {
    if (address !== this.#address || !this.#listener) {
      await this.#stopListening();
      this.#address = address;
      if (address !== undefined) this.#listener = await this.#listenAt(address);
      else for (const remote of [...this.#receiving.keys()]) this.#close(this.#receiving, remote);
    }
    const bound = this.#listener?.address;
    return bound && 'port' in bound ? bound.port : undefined;
  }

  /**
   * Sets what goes between this host and others. What has not changed is not touched.
   * @param isAll all crossings that are not mentioned are over
   */
  set(crossings: readonly HostCrossing[], isAll: boolean): void {
    for (const crossing of crossings) {
      this.#send(crossing);
      this.#receive(crossing);
    }
    if (!isAll) return;
    const named = new Set(crossings.map(({ remote }) => remote));
    for (const remote of [...this.#sending.keys(), ...this.#receiving.keys()])
      if (!named.has(remote)) this.set([{ remote }], false);
  }

  counters(): CrossingCounters {
    const ends = [...this.#sending.values(), ...this.#receiving.values()];
    const pipes = ends.map(({ pipe }) => countersOf(pipe.counters()));
    const refused = this.#listener?.refused ?? 0;
    return pipes.reduce(sumOfCrossings, { ...this.#past, refused: this.#past.refused + refused });
  }

  async close(): Promise<void> {
    await this.listen(undefined);
  }

  async #listenAt(host: string): Promise<PipeListener | undefined> {
    try {
      return await listenForPipes({ host, port: 0 }, { streams: this.#streams, log: this.#log });
    } catch (error) {
      this.#log.error({ err: error, host }, 'A media host cannot take streams of other gateways.');
      return undefined;
    }
  }

  async #stopListening(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    for (const remote of [...this.#sending.keys()]) this.#close(this.#sending, remote);
    if (!listener) return;
    await listener.close();
    this.#past = { ...this.#past, refused: this.#past.refused + listener.refused };
  }

  #send({ remote, sends }: HostCrossing): void {
    const before = this.#sending.get(remote);
    if (!sends) {
      before?.pipe.send([]);
      before?.release(() => this.#close(this.#sending, remote));
      return;
    }
    if (before && before.made !== sends.key) this.#close(this.#sending, remote);
    if (!this.#sending.has(remote)) {
      const pipe = this.#listener?.expect(Buffer.from(sends.key, 'base64'));
      // Without a listener no other host was told where this one is.
      if (!pipe) return;
      this.#sending.set(remote, new End(pipe, sends.key));
    }
    const end = this.#sending.get(remote)!;
    end.keep();
    end.pipe.send(sends.streamIds);
  }

  #receive({ remote, receives }: HostCrossing): void {
    const before = this.#receiving.get(remote);
    if (!receives) {
      before?.release(() => this.#close(this.#receiving, remote));
      return;
    }
    const { key, host, port } = receives;
    const made = JSON.stringify([key, host, port]);
    before?.keep();
    if (before?.made === made) return;
    this.#close(this.#receiving, remote);
    const parts = { streams: this.#streams, log: withFields(this.#log, () => ({ remote })) };
    this.#receiving.set(
      remote,
      new End(connectPipe({ host, port }, Buffer.from(key, 'base64'), parts), made),
    );
  }

  #close<P extends Pipe>(ends: Map<string, End<P>>, remote: string): void {
    const end = ends.get(remote);
    if (!end) return;
    ends.delete(remote);
    end.keep();
    end.pipe.close();
    this.#past = sumOfCrossings(this.#past, { ...countersOf(end.pipe.counters()), connected: 0 });
  }
}
