import { maskTokens } from '../shared/index.js';

/** Which way a message went, as the gateway sees it. */
export type Direction = 'in' | 'out';

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Between whom a message went. */
interface MessagePath {
  readonly transport: string;
  /** Our end; absent where a SIP server in between does not tell it. */
  readonly local?: Endpoint;
  readonly remote: Endpoint;
}

/** A message as it was kept, not masked yet. */
export interface KeptMessage extends MessagePath {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly direction: Direction;
  readonly bytes: Buffer;
}

/** What is known of how a call went; failed calls are kept for longest. */
type Outcome = 'unknown' | 'answered' | 'failed';

interface Placed extends MessagePath {
  readonly at: number;
  readonly direction: Direction;
  readonly length: number;
}

/** What is kept of one call. */
interface Trace {
  readonly callId: string;
  outcome: Outcome;
  /** Whose call it is; undefined until a participant's token was seen. */
  accountId?: string;
  /** Two accounts had calls with this Call-ID: neither may read what the other's said. */
  disputed?: true;
  readonly messages: Placed[];
  /** Indexes of the blocks that hold the messages' bytes, one message after the other. */
  readonly blocks: number[];
  /** Bytes used in the blocks. */
  bytes: number;
  /** Messages that came when the call had as much as it may. */
  left: number;
}

const BLOCK = 4096;
const BLOCKS_IN_SLAB = 256;
/** One call has at most this much, so that one that never ends does not push out all others. */
const MAX_MESSAGES = 500;
const MAX_BLOCKS = 64;
/** Calls of which no participant is known (yet). */
const MAX_UNKNOWN = 1_000;
/** As long as the embedded SIP server takes them. */
const MAX_CALL_ID = 512;

const NEEDLE = Buffer.from('\r\nCall-ID:');
const HEAD_END = Buffer.from('\r\n\r\n');
const INVITE = Buffer.from('INVITE ');
const CALL_ID = /^(?:Call-ID|i)[ \t]*:[ \t]*([^\s]+)[ \t]*$/im;

/** The Call-ID of a message; undefined if it has none that a call could be known by. */
function callIdOf(bytes: Buffer): string | undefined {
  const end = bytes.indexOf(HEAD_END);
  const head = end < 0 ? bytes : bytes.subarray(0, end);
  const at = head.indexOf(NEEDLE);
  let callId: string | undefined;
  if (at >= 0) {
    const start = at + NEEDLE.length;
    const lineEnd = head.indexOf(0x0d, start);
    callId = head.toString('latin1', start, lineEnd < 0 ? head.length : lineEnd).trim();
  } else callId = CALL_ID.exec(head.toString('latin1'))?.[1];
  return callId === undefined || callId === '' || callId.length > MAX_CALL_ID ? undefined : callId;
}

/**
 * The SIP messages of all calls, in one piece of memory that never grows: when it is full, calls without a participant
 * leave first, then the oldest that went well, and those that failed last. Only calls that begin with an INVITE seen here
 * are kept. Messages are kept as they came; whoever shows one must mask it.
 */
export class TraceRing {
  readonly #maxBlocks: number;
  readonly #now: () => number;
  readonly #slabs: Buffer[] = [];
  readonly #free: number[] = [];
  #made = 0;
  /** By Call-ID. */
  readonly #traces = new Map<string, Trace>();
  /** In the order in which they leave. */
  readonly #lines: Readonly<Record<Outcome, Map<string, Trace>>> = {
    unknown: new Map(),
    answered: new Map(),
    failed: new Map(),
  };
  #dropped = { calls: 0, messages: 0 };

  /** @param bytes how much it may hold; at least one call's share */
  constructor({ bytes, now = Date.now }: { readonly bytes: number; readonly now?: () => number }) {
    this.#maxBlocks = Math.max(MAX_BLOCKS, Math.floor(bytes / BLOCK));
    this.#now = now;
  }

  /** What it holds, and what had to leave since the start. */
  counts() {
    const used = this.#made - this.#free.length;
    return { calls: this.#traces.size, bytes: used * BLOCK, dropped: { ...this.#dropped } };
  }

  /** Takes a copy of a message. Called for each message of the SIP server. */
  message(direction: Direction, bytes: Buffer, path: MessagePath): void {
    const callId = callIdOf(bytes);
    if (callId === undefined) return;
    let trace = this.#traces.get(callId);
    if (!trace) {
      if (bytes.compare(INVITE, 0, INVITE.length, 0, INVITE.length) !== 0) return;
      trace = this.#begin(callId);
      if (!trace) return;
    }
    this.#append(trace, direction, bytes, path);
  }

  /** A call is known to be of a participant of the account, and how it goes. */
  claim(callId: string, accountId: string, outcome: 'answered' | 'failed'): void {
    const trace = this.#traces.get(callId);
    if (!trace || trace.disputed) return;
    if (trace.accountId !== undefined && trace.accountId !== accountId) {
      this.#empty(trace);
      trace.disputed = true;
      this.#dropped.calls += 1;
      return;
    }
    trace.accountId = accountId;
    if (trace.outcome === outcome) return;
    this.#lines[trace.outcome].delete(callId);
    trace.outcome = outcome;
    this.#lines[outcome].set(callId, trace);
  }

  /** A call of an earlier gateway goes on: keeps what comes from now on. */
  goOn(callId: string, accountId: string): void {
    if (!this.#traces.has(callId)) this.#begin(callId);
    this.claim(callId, accountId, 'answered');
  }

  /** The messages of an account's call, the oldest first; undefined when there are none. */
  messages(
    accountId: string,
    callId: string,
  ): { readonly messages: readonly KeptMessage[]; readonly left: number } | undefined {
    const trace = this.#own(accountId, callId);
    if (!trace) return undefined;
    const whole = Buffer.concat(trace.blocks.map((block) => this.#block(block)));
    let start = 0;
    const messages = trace.messages.map(({ length, ...message }): KeptMessage => {
      start += length;
      return { ...message, bytes: whole.subarray(start - length, start) };
    });
    return { messages, left: trace.left };
  }

  /** Forgets an account's call. @returns whether there was one */
  delete(accountId: string, callId: string): boolean {
    const trace = this.#own(accountId, callId);
    if (trace) this.#remove(trace);
    return trace !== undefined;
  }

  #own(accountId: string, callId: string): Trace | undefined {
    const trace = this.#traces.get(callId);
    return trace?.accountId === accountId && !trace.disputed && trace.messages.length > 0 ? trace : undefined;
  }

  #begin(callId: string): Trace | undefined {
    // The core and REST know such a call by its masked Call-ID, which others may share.
    if (maskTokens(callId) !== callId) {
      this.#dropped.calls += 1;
      return undefined;
    }
    const trace: Trace = { callId, outcome: 'unknown', messages: [], blocks: [], bytes: 0, left: 0 };
    const { unknown } = this.#lines;
    if (unknown.size >= MAX_UNKNOWN) this.#evict(unknown);
    // One that takes no block yet counts, too.
    if (this.#traces.size >= this.#maxBlocks) this.#makeRoom(undefined);
    this.#traces.set(callId, trace);
    unknown.set(callId, trace);
    return trace;
  }

  #append(trace: Trace, direction: Direction, bytes: Buffer, path: MessagePath): void {
    if (trace.disputed) return;
    const blocks = Math.ceil((trace.bytes + bytes.length) / BLOCK);
    if (trace.messages.length >= MAX_MESSAGES || blocks > MAX_BLOCKS) {
      trace.left += 1;
      this.#dropped.messages += 1;
      return;
    }
    while (trace.blocks.length < blocks) trace.blocks.push(this.#take(trace));
    for (let from = 0; from < bytes.length;) {
      const at = trace.bytes % BLOCK;
      const block = this.#block(trace.blocks[Math.floor(trace.bytes / BLOCK)]!);
      const copied = bytes.copy(block, at, from, from + BLOCK - at);
      from += copied;
      trace.bytes += copied;
    }
    const { transport, local, remote } = path;
    trace.messages.push({
      at: this.#now(),
      direction,
      length: bytes.length,
      transport,
      ...(local && { local }),
      remote,
    });
  }

  #take(trace: Trace): number {
    // A call that leaves may have no block.
    while (this.#free.length === 0 && this.#made === this.#maxBlocks) if (!this.#makeRoom(trace)) break;
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made % BLOCKS_IN_SLAB === 0) {
      const blocks = Math.min(BLOCKS_IN_SLAB, this.#maxBlocks - this.#made);
      this.#slabs.push(Buffer.allocUnsafeSlow(blocks * BLOCK));
    }
    this.#made += 1;
    return this.#made - 1;
  }

  #block(index: number): Buffer {
    const at = (index % BLOCKS_IN_SLAB) * BLOCK;
    return this.#slabs[Math.floor(index / BLOCKS_IN_SLAB)]!.subarray(at, at + BLOCK);
  }

  /** @param except the call that the room is for */
  #makeRoom(except: Trace | undefined): boolean {
    const { unknown, answered, failed } = this.#lines;
    return [unknown, answered, failed].some((line) => this.#evict(line, except));
  }

  #evict(line: ReadonlyMap<string, Trace>, except?: Trace): boolean {
    for (const trace of line.values()) {
      if (trace === except) continue;
      this.#remove(trace);
      this.#dropped.calls += 1;
      return true;
    }
    return false;
  }

  #remove(trace: Trace): void {
    this.#traces.delete(trace.callId);
    this.#lines[trace.outcome].delete(trace.callId);
    this.#empty(trace);
  }

  #empty(trace: Trace): void {
    this.#free.push(...trace.blocks.splice(0));
    trace.messages.length = 0;
    trace.bytes = 0;
  }
}
