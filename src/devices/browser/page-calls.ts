import type { ResumePoint } from '../../core/index.js';
import type { Clock, Log, Timer } from '../../shared/index.js';
import { type RequestId, RpcError } from './json-rpc.js';

/** What became of a call. */
export type Outcome =
  { readonly id: RequestId; readonly result: object } | { readonly id: RequestId; readonly error: RpcError };

/** One call of a page. */
export interface PageCall {
  readonly id: RequestId;
  readonly method: string;
  readonly params: unknown;
}

/** Where a page can be answered; what cannot be sent is lost, as it would be with the socket. */
export interface AnswerLine {
  answer(outcome: Outcome): void;
}

/** Whoever does what pages ask. A rejection with an RpcError is told to the page; any other as an internal error. */
type CallHandler = (method: string, params: unknown) => Promise<object>;

/** How long a page with a new socket may be silent before calls that it may have lost are given up. */
export const SILENT_PAGE_MS = 1_000;

/** The calls that a page's client holds a lock over, one of each at a time, until they are answered. */
const LOCKING_METHODS = ['offerSdp', 'answerSdp'];

/**
 * After a restart of the gateway, how many JSON-RPC ids around the last saved one may be unanswered: before it, calls
 * that were received but not answered yet; after it, calls sent since the last save. Failing an id that was already
 * answered is harmless.
 */
const DOUBTFUL_CALLS = 6;

/** `setMediaPreferences`, which the clients make again by themselves on each socket until it is answered. */
const FIRST_ID = 1;

/** More calls than a page makes; beyond 2^53 numbers have gaps. */
const MAX_COUNTED_ID = 2 ** 31;

/**
 * The calls of one page over all its sockets. A call whose answer was lost with a socket would hold the page up for
 * ever, so what was answered last is answered again on the next socket. A call that was lost on its way here, or with
 * a gateway before this one, is known by its id, since the clients count from 1 without gaps: the page's next call
 * shows which ids are missing. Only a page that makes none may be waiting for those; its next ids are failed then,
 * which it ignores if it has not used them.
 */
export class PageCalls {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #handle: CallHandler;
  readonly #onId: (id: number) => void;
  /** The page was served by a gateway that is no more. */
  readonly #resumed: boolean;
  /** What the locking calls were answered last. */
  readonly #answers = new Map<string, Outcome>();
  /** Answers lost calls in place of an error. */
  readonly #spare: object | undefined;
  #line: AnswerLine | undefined;
  #lastId: number;
  /** How many calls may be lost: the page has not called since it came here by another socket, or from elsewhere. */
  #mayHaveLost: number;
  #silence: Timer | undefined;

  /**
   * @param options.onId told the id of each call that is the highest so far
   * @param options.before what a gateway before this one kept of the page, if it served it
   * @param options.lastAnswer to `offerSdp`, before the page was lost: what its client asked since and lost is answered
   *   by that, since it never asks for another path again once it was told of an error
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

  /** The page is answered by this line from now on. */
  attach(line: AnswerLine): void {
    this.#line = line;
    if (this.#resumed) this.#failWhenSilent();
  }

  /** As `attach`, in place of a line that was lost. */
  reattach(line: AnswerLine): void {
    this.#line = line;
    this.#mayHaveLost = Math.max(this.#mayHaveLost, LOCKING_METHODS.length);
    for (const outcome of this.#answers.values()) line.answer(outcome);
    this.#failWhenSilent();
  }

  /** Does what the page asks, and answers it. */
  async called({ id, method, params }: PageCall): Promise<void> {
    this.#noteId(id);
    const outcome = await this.#handle(method, params).then(
      (result) => ({ id, result }),
      (error: unknown) => ({ id, error: this.#asRpcError(method, error) }),
    );
    if (LOCKING_METHODS.includes(method)) this.#answers.set(method, outcome);
    this.#line?.answer(outcome);
  }

  /** What `offerSdp` was answered last; undefined for none. */
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
    return new RpcError('internalError', 'Something went wrong in the gateway.', { cause: error });
  }
}

function isCounted(id: RequestId): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id <= MAX_COUNTED_ID;
}
