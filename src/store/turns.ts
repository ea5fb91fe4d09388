import { PatchbayError } from '../core/index.js';

/** Jobs of one owner that may wait or be under way. */
const MAX_OF_OWNER = 8;

/** Jobs that wait, by their owners, which take turns: a busy one does not keep the others waiting. */
export class Turns<T> {
  readonly #lines = new Map<string, T[]>();
  readonly #underWay = new Map<string, number>();

  /** @throws PatchbayError TOO_MANY_REQUESTS when the owner has too many */
  add(owner: string, job: T): void {
    const line = this.#lines.get(owner) ?? [];
    if (line.length + (this.#underWay.get(owner) ?? 0) >= MAX_OF_OWNER) {
      throw new PatchbayError(
        'PATCHBAY_TOO_MANY_REQUESTS',
        'Too many reports of the account are in progress.',
      );
    }
    line.push(job);
    this.#lines.set(owner, line);
  }

  /** The next job, of the owner whose turn it is; it counts for its owner until it is {@link done}. */
  next(): { readonly owner: string; readonly job: T } | undefined {
    const next = this.#lines.entries().next();
    if (next.done) return undefined;
    const [owner, line] = next.value;
    const job = line.shift()!;
    this.#lines.delete(owner);
    if (line.length > 0) this.#lines.set(owner, line);
    this.#underWay.set(owner, (this.#underWay.get(owner) ?? 0) + 1);
    return { owner, job };
  }

  done(owner: string): void {
    const left = (this.#underWay.get(owner) ?? 0) - 1;
    if (left > 0) this.#underWay.set(owner, left);
    else this.#underWay.delete(owner);
  }

  /** Removes all that wait. */
  clear(): readonly T[] {
    const jobs = [...this.#lines.values()].flat();
    this.#lines.clear();
    return jobs;
  }
}

/** Why a read is refused once the store closes. */
export function goingDown(): PatchbayError {
  return new PatchbayError('PATCHBAY_SHUTTING_DOWN', 'The gateway is shutting down.');
}

/** The answer to a read that failed; the log says why. */
export function readFailed(): PatchbayError {
  return new PatchbayError('PATCHBAY_OVERLOADED', 'The report could not be made.');
}
