/** Who hears whom, and how they talk. */
export interface Scene {
  readonly name: string;
  readonly phones: number;
  /** All hear the first few of them; absent: sessions of this size, in which all hear each other. */
  readonly talkers?: number;
  readonly session?: number;
  /**
   * `marks`: all send silence, and the first a loud packet every half second, to measure the delay. `turns`: by a two-state
   * model, about one in each session at a time. `all`: all of them, all the time.
   */
  readonly talk: 'marks' | 'turns' | 'all';
}

/** A conversation that a contestant of bench/mix.ts carries: phones of one codec. */
export interface Conversation {
  /** Where each phone receives. */
  readonly peerPorts: readonly number[];
  readonly scene: Scene;
  readonly codec: BenchCodec;
}

/** A narrowband and a wideband codec of carriers, both with a static payload type (RFC 3551 section 6), and Opus. */
export type BenchCodec = 'PCMU' | 'G722' | 'opus';

/** A process that carries one conversation. */
export interface Carrier {
  readonly pid: number;
  /** Where it receives each phone. */
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

/** A program that is measured. */
export interface Contestant {
  readonly name: string;
  readonly codecs: readonly BenchCodec[];
  /** Why it cannot be measured here; absent if it can. */
  readonly missing?: string | undefined;
  carry(conversation: Conversation): Promise<Carrier>;
}
