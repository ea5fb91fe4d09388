import type { ResumePoint } from '../../core/index.js';
import type { Clock, Log, Timer } from '../../shared/index.js';
import { type RequestId, RpcError } from './json-rpc.js';

const keyOf = (participantId: string, uniqueId: string): string => JSON.stringify([participantId, uniqueId]);

/** The result or the error of a call. */
export type Outcome =
  { readonly id: RequestId; readonly result: object } | { readonly id: RequestId; readonly error: RpcError };

/** One call of a page. */
export interface PageCall {
  readonly id: RequestId;
  readonly method: string;
  readonly params: unknown;
}

/** Sends answers to a page. An answer is lost when the socket is not open. */
export interface AnswerLine {
  answer(outcome: Outcome): void;
}

/** Executes a call. A rejection with an RpcError is sent to the page, any other rejection as an internal error. */
type CallHandler = (method: string, params: unknown) => Promise<object>;

/** A page that makes no call for this long on its new socket may be waiting for lost calls: they are failed then. */
export const SILENT_PAGE_MS = 1_000;

/** The client locks around each of these calls until it is answered: one of each is outstanding at most. */
const LOCKING_METHODS = ['offerSdp', 'answerSdp'];

/**
 * After a restart of the gateway, how many JSON-RPC ids around the last saved one may be unanswered: before it, calls
 * that were received but not answered yet; after it, calls sent since the last save. Failing an id that was already
 * answered is harmless.
 */
const DOUBTFUL_CALLS = 6;

/** `setMediaPreferences`. Clients repeat it on each new socket until it is answered. */
const FIRST_ID = 1;

/** More calls than any page makes. Beyond 2^53 counting would fail. */
const MAX_COUNTED_ID = 2 ** 31;

/**
 * The calls of one page over all its sockets. A page waits for ever for an answer that is lost, so:
 * - The last answers are sent again on the next socket.
 * - A call that never arrived, or that a gateway received before it was restarted, is known by its id: clients count
 *   from 1 without gaps, so the next call shows which ids are missing. Those calls are failed.
 * - A page that makes no further call may be waiting for a lost one: the next ids are failed. The page ignores answers to
 *   ids that it has not used yet.
 */
export class PageCalls {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #handle: CallHandler;
  readonly #onId: (id: number) => void;
  /** The page was served by a gateway that has been restarted. */
  readonly #resumed: boolean;
  /** The last answer to each of the locking calls. */
  readonly #answers = new Map<string, Outcome>();
  /** Sent as the answer to lost calls, instead of an error. */
  readonly #spare: object | undefined;
  #line: AnswerLine | undefined;
  #lastId: number;
  /** How many calls may have been lost before the next one. */
  #mayHaveLost: number;
  #silence: Timer | undefined;

  /**
   * @param options.onId called with the id of a call when it is the highest so far
   * @param options.before the resume point that the gateway saved before its restart, if it served the page then
   * @param options.lastAnswer the last answer to `offerSdp` before the page was lost. It answers the calls that were lost
   *   since, because after an error the client never offers another path (see `LostAnswers`)
   */
  constructor(options: {
    clock: Clock;
    log: Log;
    handle: CallHandler;
    onId: (id: number) => void;
    before: ResumePoint | undefined;
    lastAnswer: object | undefined;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#handle = options.handle;
    this.#onId = options.onId;
    this.#resumed = options.before !== undefined;
    this.#spare = options.lastAnswer;
    this.#lastId = Math.max(FIRST_ID, (options.before?.lastCallId ?? FIRST_ID) - DOUBTFUL_CALLS);
    this.#mayHaveLost = this.#resumed ? 2 * DOUBTFUL_CALLS : LOCKING_METHODS.length;
  }

  /** Answers go to this line from now on. */
  attach(line: AnswerLine): void {
    this.#line = line;
    if (this.#resumed) this.#failWhenSilent();
  }

  /** Like `attach`, after the line before was lost. */
  reattach(line: AnswerLine): void {
    this.#line = line;
    this.#mayHaveLost = Math.max(this.#mayHaveLost, LOCKING_METHODS.length);
    for (const outcome of this.#answers.values()) line.answer(outcome);
    this.#failWhenSilent();
  }

  /** Executes a call and answers it. */
  async called({ id, method, params }: PageCall): Promise<void> {
    this.#noteId(id);
    const outcome = await this.#handle(method, params).then(
      (result) => ({ id, result }),
      (error: unknown) => ({ id, error: this.#asRpcError(method, error) }),
    );
    if (LOCKING_METHODS.includes(method)) this.#answers.set(method, outcome);
    this.#line?.answer(outcome);
  }

  /** The last result of `offerSdp`; undefined when there is none. */
  get lastAnswer(): object | undefined {
    const outcome = this.#answers.get('offerSdp');
    return outcome && 'result' in outcome ? outcome.result : this.#spare;
  }

  stop(): void {
    this.#silence?.cancel();
  }

  #noteId(id: RequestId): void {
    if (!isCounted(id)) return;
    this.#silence?.cancel();
    this.#fail(Math.max(this.#lastId + 1, id - this.#mayHaveLost), id - 1);
    this.#mayHaveLost = 0;
    if (id <= this.#lastId) return;
    this.#lastId = id;
    this.#onId(id);
  }

  #failWhenSilent(): void {
    this.#silence?.cancel();
    this.#silence = this.#clock.setTimeout(() => {
      this.#fail(this.#lastId + 1, this.#lastId + this.#mayHaveLost);
    }, SILENT_PAGE_MS);
  }

  #fail(first: number, last: number): void {
    const error = new RpcError('rejected', 'The connection was lost during the call.');
    const outcome = this.#spare ? { result: this.#spare } : { error };
    for (let id = first; id <= last; id += 1) this.#line?.answer({ id, ...outcome });
  }

  #asRpcError(method: string, error: unknown): RpcError {
    if (error instanceof RpcError) return error;
    this.#log.error({ err: error, method }, 'a browser call failed');
    return new RpcError('internalError', 'Internal error of the gateway.', { cause: error });
  }
}

function isCounted(id: RequestId): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id <= MAX_COUNTED_ID;
}

/** How long a page may be away and still get its last answer. */
const KEEP_MS = 180_000;
const MAX_PAGES = 1_000;

/** Of all answers together; an answer for two tracks has about 2 kB. */
const MAX_BYTES = 8 * 1024 * 1024;

interface Kept {
  readonly answer: object;
  readonly bytes: number;
  readonly until: number;
}

/**
 * The last answers to `offerSdp` of pages that were lost. A client whose network was away sends one offer for an ICE
 * restart, and never another one if that call fails. Given the old answer instead of an error, it finds no path and
 * sends the next offer.
 */
export class LostAnswers {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#kept.size;
  }

  keep(participantId: string, uniqueId: string, answer: object): void {
    const key = keyOf(participantId, uniqueId);
    this.#forget(key);
    const now = this.#clock.monotonic();
    const bytes = JSON.stringify(answer).length + key.length;
    this.#kept.set(key, { answer, bytes, until: now + KEEP_MS });
    this.#bytes += bytes;
    for (const [other, { until }] of this.#kept) {
      if (until > now && this.#kept.size <= MAX_PAGES && this.#bytes <= MAX_BYTES) break;
      this.#forget(other);
    }
  }

  /** Removes and returns the answer of a page that is back. */
  take(participantId: string, uniqueId: string): object | undefined {
    const key = keyOf(participantId, uniqueId);
    const kept = this.#kept.get(key);
    this.#forget(key);
    return kept && kept.until > this.#clock.monotonic() ? kept.answer : undefined;
  }

  #forget(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}
