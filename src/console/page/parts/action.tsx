import { type Signal, useSignal } from '@preact/signals';
import { ApiError } from '../gateway/client.js';

/** Something that a click starts, and what became of it. */
interface Busy {
  readonly isBusy: Signal<boolean>;
  readonly problem: Signal<ApiError | undefined>;
  /** Starts it unless it is under way. */
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

/** State of a button or form that asks the gateway. */
export function useAction(): Busy {
  const isBusy = useSignal(false);
  const problem = useSignal<ApiError | undefined>(undefined);
  const run = async (work: () => Promise<void>): Promise<void> => {
    if (isBusy.value) return;
    isBusy.value = true;
    problem.value = undefined;
    try {
      await work();
    } catch (error) {
      problem.value = error instanceof ApiError ? error : new ApiError(0, '', String(error));
    }
    isBusy.value = false;
  };
  return { isBusy, problem, run };
}
