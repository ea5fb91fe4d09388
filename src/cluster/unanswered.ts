import { PatchbayError } from '../core/index.js';
import { errorOf } from './failures.js';
import type { Failure } from './messages.js';

interface Waiting {
  readonly name: unknown;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** What the other end was asked and has not answered. @template Table what is answered, by the name of what is asked */
export class Unanswered<Table extends { readonly [K in keyof Table]: { readonly answer: unknown } }> {
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** @returns by what number the other end is to answer, and its answer; that rejects with a PatchbayError */
  add<K extends keyof Table>(name: K): { readonly id: number; readonly answer: Promise<Table[K]['answer']> } {
    this.#last += 1;
    const id = this.#last;
    const answer = new Promise<Table[K]['answer']>((resolve, reject) => {
      this.#waiting.set(id, { name, resolve: resolve, reject });
    });
    return { id, answer };
  }

  answered<K extends keyof Table>(id: number, name: K, answer: Table[K]['answer']): void {
    const waiting = this.#taken(id);
    if (waiting?.name === name) waiting.resolve(answer);
    else waiting?.reject(new PatchbayError('PATCHBAY_INTERNAL', 'Another gateway answered something else.'));
  }

  failed(id: number, failure: Failure): void {
    this.#taken(id)?.reject(errorOf(failure));
  }

  /** Nothing is answered any more. */
  failAll(why: () => PatchbayError): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(why());
  }

  #taken(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}
