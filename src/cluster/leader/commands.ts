import { PatchbayError } from '../../core/index.js';
import { errorOf } from '../failures.js';
import type { Command, Failure, FromLeader } from '../messages.js';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What an edge was commanded and has not answered. */
export class Commands {
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  /** @throws PatchbayError by rejection: what the edge answers, or NO_LEADER when the connection to it ends first */
  send(deviceId: string, command: Command, tell: (message: FromLeader) => void): Promise<void> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      tell({ type: 'command', id, deviceId, ...command });
    });
  }

  done(id: number, failure: Failure | undefined): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (failure) waiting?.reject(errorOf(failure));
    else waiting?.resolve();
  }

  /** The connection to the edge has ended. */
  fail(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(unreachable());
  }
}

/** The edge cannot be reached. */
export function unreachable(): PatchbayError {
  return new PatchbayError(
    'PATCHBAY_NO_LEADER',
    'The gateway that has the device cannot be reached at present: try again in a moment.',
  );
}
