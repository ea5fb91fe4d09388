import type { Log } from '../../shared/index.js';
import type { CallRecord } from '../messages.js';
import type { EdgeCalls } from './edge-calls.js';

/** Connects a call's device as one that was carried on. @returns whether it can; if not, the call ends */
export type TakeOver = (call: CallRecord) => Promise<boolean>;

interface TakingParts {
  readonly calls: Pick<EdgeCalls, 'knows' | 'isOver' | 'taken' | 'deleteCall'>;
  /** Whether the edge has a device, or had it until just now. */
  readonly hasDevice: (id: string) => boolean;
  /** Whether all that a process before had left is connected: a new process takes what it finds among its own calls first. */
  readonly isReady: () => boolean;
  readonly log: Log;
}

/** Calls of edges that are gone, which this one is to go on with. */
export class CallsToTake {
  readonly #parts: TakingParts;
  #takeOver: TakeOver | undefined;
  /** Those that nobody here has asked for yet. */
  #given: CallRecord[] = [];
  /** Those that are being taken over: their devices are not connected yet. */
  readonly #taking = new Set<string>();

  constructor(parts: TakingParts) {
    this.#parts = parts;
  }

  /** Whether a call is being taken over. */
  has(id: string): boolean {
    return this.#taking.has(id);
  }

  /** Its device is connected. */
  connected(id: string): void {
    this.#taking.delete(id);
  }

  /** Has calls taken over from now on, those too that were given before. */
  onTakeOver(takeOver: TakeOver): void {
    this.#takeOver = takeOver;
    this.go();
  }

  give(call: CallRecord): void {
    this.#given.push(call);
    this.go();
  }

  /** Takes what was given, if that is possible now. */
  go(): void {
    const { calls, hasDevice, isReady } = this.#parts;
    if (!this.#takeOver || !isReady()) return;
    for (const call of this.#given.splice(0)) {
      if (calls.isOver(call.id)) this.#refuse(call.id);
      // It may be told again of what it has, or has had.
      else if (!calls.knows(call.id) && !hasDevice(call.id)) void this.#take(call, this.#takeOver);
    }
  }

  /** It ended here, before the leader gave it to others and back. */
  #refuse(id: string): void {
    const { calls } = this.#parts;
    calls.taken(id);
    calls.deleteCall(id);
  }

  async #take(call: CallRecord, takeOver: TakeOver): Promise<void> {
    const { calls, log } = this.#parts;
    const { id } = call;
    calls.taken(id);
    this.#taking.add(id);
    let isTaken = false;
    try {
      isTaken = await takeOver(call);
    } catch (error) {
      log.error({ err: error, connectionId: id }, 'A call of another gateway could not be taken over.');
    }
    this.#taking.delete(id);
    if (!isTaken) calls.deleteCall(id);
  }
}
