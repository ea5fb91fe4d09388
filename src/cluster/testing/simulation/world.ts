import { FakeClock } from '../../../shared/testing/index.js';
import { SimDatabase } from './database.js';
import { SimNetwork } from './network.js';
import type { SimEdge } from './processes.js';
import { Random } from './random.js';

/** What all parts of a run share. */
export class World {
  readonly random: Random;
  readonly clock = new FakeClock(1_000_000);
  readonly database = new SimDatabase();
  readonly network: SimNetwork;
  readonly edges: SimEdge[] = [];
  /** All faults have ended: what is under way comes to rest. */
  isHealing = false;
  readonly log: string[] = [];
  #numbers = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.network = new SimNetwork(this.clock, this.random);
  }

  get now(): number {
    return this.clock.monotonic();
  }

  anyEdge(): SimEdge {
    return this.random.of(this.edges)!;
  }

  /** A number that nothing else has. */
  number(): number {
    this.#numbers += 1;
    return this.#numbers;
  }

  note(what: string): void {
    this.log.push(`${String(this.now)} ${what}`);
  }
}
