/** A conversation that a contestant of bench/mix.ts carries: phones of one codec that all hear the first few. */
export interface Conversation {
  /** Where each phone receives. */
  readonly peerPorts: readonly number[];
  readonly talkers: number;
  readonly codec: BenchCodec;
}

/** A narrowband and a wideband codec of carriers, both with a static payload type (RFC 3551 section 6). */
export type BenchCodec = 'PCMU' | 'G722';

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
