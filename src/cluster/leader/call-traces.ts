import { type CallTrace, PatchbayError } from '../../core/index.js';
import type { Clock, Log } from '../../shared/index.js';
import type { Commands } from '../messages.js';
import type { EdgeSession } from './edge-session.js';

/** How long an edge may take to answer. */
const LIMIT_MS = 2_000;
/** Edges are asked for so many calls at a time: an answer may have a MB, and devices' messages come on the same way. */
const AT_A_TIME = 4;
/** More than these are refused. */
const MAX_WAITING = 200;

type Edge = Pick<EdgeSession, 'edgeId' | 'isConnected' | 'isLost' | 'command'>;
type TraceCommand = 'readTrace' | 'deleteTrace';

interface TracesParts {
  /** All that are known. */
  readonly edges: () => Iterable<Edge>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What all edges have of calls' signalling. A call that was taken over has been at several. */
export class CallTraces {
  readonly #parts: TracesParts;
  /** Answers that came too late so far, by the edge that owes them. */
  readonly #owed = new Map<Edge, number>();
  readonly #waiting: (() => void)[] = [];
  #asking = 0;

  constructor(parts: TracesParts) {
    this.#parts = parts;
  }

  /**
   * What the edges have that answer in time.
   * @returns undefined when none of them has anything
   * @throws PatchbayError OVERLOADED by rejection
   */
  async of(accountId: string, externalId: string): Promise<CallTrace | undefined> {
    const answers = await this.#askAll('readTrace', { accountId, externalId });
    const kept = answers.flatMap((answer) => answer ?? []);
    if (kept.length === 0) return undefined;
    return {
      messages: kept.flatMap(({ messages }) => messages).toSorted((a, b) => a.at - b.at),
      left: kept.reduce((sum, { left }) => sum + left, 0),
    };
  }

  /**
   * @returns whether there was something
   * @throws PatchbayError by rejection: NO_LEADER when an edge that may have something has not confirmed it, OVERLOADED
   */
  async delete(accountId: string, externalId: string): Promise<boolean> {
    const answers = await this.#askAll('deleteTrace', { accountId, externalId });
    if (!answers.includes(undefined)) return answers.includes(true);
    throw new PatchbayError(
      'PATCHBAY_NO_LEADER',
      'A gateway that may have SIP messages of this call cannot be reached at present; what the others had is deleted. Try ' +
        'again in a moment.',
    );
  }

  /** @returns undefined for those that have not answered */
  async #askAll<K extends TraceCommand>(
    command: K,
    asked: Commands[K]['asked'],
  ): Promise<readonly (Commands[K]['answer'] | undefined)[]> {
    await this.#turn();
    try {
      // One that was given up has most probably died.
      const edges = [...this.#parts.edges()].filter(({ isConnected, isLost }) => isConnected || !isLost);
      return await Promise.all(edges.map((edge) => this.#ask(edge, command, asked)));
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#asking -= 1;
    }
  }

  async #turn(): Promise<void> {
    if (this.#asking < AT_A_TIME) {
      this.#asking += 1;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING)
      throw new PatchbayError(
        'PATCHBAY_OVERLOADED',
        'SIP messages of too many calls are asked for at a time.',
      );
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** @returns undefined when it does not answer in time, or not at all; one that owes answers is not asked for more */
  #ask<K extends TraceCommand>(
    edge: Edge,
    command: K,
    asked: Commands[K]['asked'],
  ): Promise<Commands[K]['answer'] | undefined> {
    if (this.#owed.has(edge)) return Promise.resolve(undefined);
    const { clock, log } = this.#parts;
    return new Promise((resolve) => {
      let isLate = false;
      const limit = clock.setTimeout(() => {
        isLate = true;
        this.#owes(edge, 1);
        log.warn(
          { edge: edge.edgeId },
          'A gateway does not say what it has of a call: the others are heard.',
        );
        resolve(undefined);
      }, LIMIT_MS);
      const over = (answer: Commands[K]['answer'] | undefined): void => {
        limit.cancel();
        if (isLate) this.#owes(edge, -1);
        resolve(answer);
      };
      // The edge cannot be reached, or has failed and logged why.
      edge.command(command, asked).then(over, () => over(undefined));
    });
  }

  #owes(edge: Edge, more: number): void {
    const owed = (this.#owed.get(edge) ?? 0) + more;
    if (owed > 0) this.#owed.set(edge, owed);
    else this.#owed.delete(edge);
  }
}
