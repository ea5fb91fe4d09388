import { PatchbayError } from '../../core/index.js';
import type { CommandName, Commands, Done, Failure, FromLeader } from '../messages.js';
import { Unanswered } from '../unanswered.js';

/** Commands to one edge, on its present connection. */
export class Commanding {
  readonly #unanswered = new Unanswered<Commands>();

  /** @throws PatchbayError by rejection: what the edge answers, or NO_LEADER when the connection to it ends first */
  send<K extends CommandName>(
    command: K,
    asked: Commands[K]['asked'],
    tell: (message: FromLeader) => void,
  ): Promise<Commands[K]['answer']> {
    const { id, answer } = this.#unanswered.add(command);
    tell({ type: 'command', id, command, asked } as FromLeader);
    return answer;
  }

  done({ id, command, answer }: { readonly id: number } & Done): void {
    this.#unanswered.answered(id, command, answer);
  }

  failed(id: number, failure: Failure): void {
    this.#unanswered.failed(id, failure);
  }

  /** The connection to the edge has ended. */
  disconnected(): void {
    this.#unanswered.failAll(unreachable);
  }
}

/** The edge cannot be reached. */
export function unreachable(): PatchbayError {
  return new PatchbayError(
    'PATCHBAY_NO_LEADER',
    'The gateway that has the device cannot be reached at present: try again in a moment.',
  );
}
