import type { Core, FailedCall } from '../core/index.js';

/** Calls kept for each account; the oldest is dropped first. */
const KEPT = 500;

/** A refused call as an account sees it. */
export interface ListedFailure extends FailedCall {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly participantId: string;
}

/** The last refused calls of each account. Kept in memory only, since they help to find faults but are not billed. */
export class FailedCalls {
  readonly #byAccount = new Map<string, ListedFailure[]>();

  constructor(core: Pick<Core, 'on'>) {
    core.on('callFailed', ({ at, participant, call }) => {
      const { accountId, id: participantId } = participant;
      const list = this.#byAccount.get(accountId) ?? [];
      this.#byAccount.set(accountId, list);
      list.push({ ...call, at, participantId });
      if (list.length > KEPT) list.shift();
    });
  }

  /** An account's refused calls, the newest first. */
  of(accountId: string): readonly ListedFailure[] {
    return this.#byAccount.get(accountId)?.toReversed() ?? [];
  }
}
