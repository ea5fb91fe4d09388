import { PatchbayError } from '../../core/index.js';
import { errorOf } from '../failures.js';
import type { Answer, Failure, FromEdge, Link, Questions } from '../messages.js';

/** Questions that may wait for the leader's answer. */
const MAX_QUESTIONS = 10_000;

interface Waiting {
  readonly question: keyof Questions;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** An edge's questions to the leader that it is connected with. */
export class Asking {
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #link: Link<FromEdge> | undefined;
  /** Who waits for a leader. */
  #awaitLink: (() => void)[] = [];

  connected(link: Link<FromEdge>): void {
    this.#link = link;
    for (const tell of this.#awaitLink.splice(0)) tell();
  }

  /** What was asked is not answered any more. */
  disconnected(): void {
    this.#link = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(noLeader());
  }

  /** @throws PatchbayError by rejection: what the leader answers; NO_LEADER when there is none, or it is gone before it answers */
  ask<K extends keyof Questions>(question: K, asked: Questions[K]['asked']): Promise<Questions[K]['answer']> {
    const link = this.#link;
    if (!link) return Promise.reject(noLeader());
    if (this.#waiting.size >= MAX_QUESTIONS) {
      return Promise.reject(
        new PatchbayError('PATCHBAY_OVERLOADED', 'Too many questions wait for the leader.'),
      );
    }
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { question, resolve: resolve as Waiting['resolve'], reject });
      link.send({ type: 'question', id, question, asked } as FromEdge);
    });
  }

  /** Asks the present leader or, when there is none or it is gone before it answers, the next one. */
  async askWhoeverLeads<K extends keyof Questions>(
    question: K,
    asked: Questions[K]['asked'],
  ): Promise<Questions[K]['answer']> {
    for (;;) {
      if (!this.#link) await new Promise<void>((resolve) => this.#awaitLink.push(resolve));
      try {
        return await this.ask(question, asked);
      } catch (error) {
        if (!(error instanceof PatchbayError) || error.code !== 'PATCHBAY_NO_LEADER') throw error;
      }
    }
  }

  answered({ id, question, answer }: { readonly id: number } & Answer): void {
    const waiting = this.#taken(id);
    if (waiting?.question === question) waiting.resolve(answer);
    else waiting?.reject(new PatchbayError('PATCHBAY_INTERNAL', 'The leader answered another question.'));
  }

  failed(id: number, failure: Failure): void {
    this.#taken(id)?.reject(errorOf(failure));
  }

  #taken(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}

function noLeader(): PatchbayError {
  return new PatchbayError(
    'PATCHBAY_NO_LEADER',
    'The gateway has no connection to the leader at present: try again in a moment.',
  );
}
