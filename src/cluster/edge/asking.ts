import { PatchbayError } from '../../core/index.js';
import type { Answer, Failure, FromEdge, Link, Questions } from '../messages.js';
import { Unanswered } from '../unanswered.js';

/** Questions that may wait for the leader's answer. */
const MAX_QUESTIONS = 10_000;

/** An edge's questions to the leader that it is connected with. */
export class Asking {
  readonly #unanswered = new Unanswered<Questions>();
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
    this.#unanswered.failAll(noLeader);
  }

  /** @throws PatchbayError by rejection: what the leader answers; NO_LEADER when there is none, or it is gone before it answers */
  ask<K extends keyof Questions>(question: K, asked: Questions[K]['asked']): Promise<Questions[K]['answer']> {
    const link = this.#link;
    if (!link) return Promise.reject(noLeader());
    if (this.#unanswered.size >= MAX_QUESTIONS) {
      return Promise.reject(
        new PatchbayError('PATCHBAY_OVERLOADED', 'Too many questions wait for the leader.'),
      );
    }
    const { id, answer } = this.#unanswered.add(question);
    link.send({ type: 'question', id, question, asked } as FromEdge);
    return answer;
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
    this.#unanswered.answered(id, question, answer);
  }

  failed(id: number, failure: Failure): void {
    this.#unanswered.failed(id, failure);
  }
}

function noLeader(): PatchbayError {
  return new PatchbayError(
    'PATCHBAY_NO_LEADER',
    'The gateway has no connection to the leader at present: try again in a moment.',
  );
}
