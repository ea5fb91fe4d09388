import { createWriteStream } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Agent, type Dispatcher, request } from 'undici';
import { basicAuthorization, withoutCredentials } from '../shared/index.js';
import { SoundError } from './decoder/index.js';

/** Keeps requests away from addresses that only the gateway's own machine should reach. */
export interface FetchGuard {
  /** @throws Error named TargetDeniedError when the URL's host is an address that must not be called */
  checkLiteral(url: URL): void;
  lookup(): LookupFunction;
}

export interface DownloadLimits {
  readonly maxBytes: number;
  /** For the whole file. */
  readonly timeoutMs: number;
  /** For the server to begin, and between two pieces of the file. */
  readonly stallMs: number;
}

/** What a server said about a file, by which to ask whether it has changed. */
export interface Validators {
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

interface Downloaded extends Validators {
  /** The file is as before, and was not sent. */
  readonly isUnchanged: boolean;
  /** How long it may be used without asking again. */
  readonly freshMs: number;
}

const [MIN_FRESH_MS, DEFAULT_FRESH_MS, MAX_FRESH_MS] = [1_000, 300_000, 86_400_000];

/** Fetches files. Redirects are not followed. */
export class Downloads {
  readonly #guard: FetchGuard;
  readonly #limits: DownloadLimits;
  readonly #agent: Agent;
  readonly #stop = new AbortController();

  constructor(guard: FetchGuard, limits: DownloadLimits) {
    this.#guard = guard;
    this.#limits = limits;
    const { stallMs } = limits;
    this.#agent = new Agent({
      connect: { lookup: guard.lookup(), timeout: stallMs },
      headersTimeout: stallMs,
      bodyTimeout: stallMs,
    });
  }

  /** @throws SoundError when the URL is an address that must not be called */
  check(url: URL): void {
    try {
      this.#guard.checkLiteral(url);
    } catch (error) {
      throw inWords(error, url);
    }
  }

  /**
   * Writes a file to a path.
   * @param known what was said of the copy that is there already
   * @throws SoundError
   */
  async fetch(url: URL, path: string, known: Validators = {}): Promise<Downloaded> {
    this.check(url);
    try {
      return await this.#fetch(url, path, known);
    } catch (error) {
      throw error instanceof SoundError ? error : inWords(error, url, this.#limits);
    }
  }

  async #fetch(url: URL, path: string, known: Validators): Promise<Downloaded> {
    const signal = AbortSignal.any([AbortSignal.timeout(this.#limits.timeoutMs), this.#stop.signal]);
    const answer = await request(withoutCredentials(url), {
      headers: {
        accept: 'audio/*, application/ogg, application/octet-stream;q=0.5',
        'user-agent': 'patchbay',
        ...(known.etag !== undefined && { 'if-none-match': known.etag }),
        ...(known.lastModified !== undefined && { 'if-modified-since': known.lastModified }),
        ...basicAuthorization(url),
      },
      dispatcher: this.#agent,
      signal,
    });
    const { statusCode, headers, body } = answer;
    const isKnown = known.etag !== undefined || known.lastModified !== undefined;
    if (statusCode === 200) {
      if (Number(headers['content-length'] ?? 0) > this.#limits.maxBytes) {
        abandon(body);
        throw this.#tooLarge();
      }
      await pipeline(body, this.#counted(), createWriteStream(path, { flags: 'wx', mode: 0o600 }), {
        signal,
      });
    } else {
      abandon(body);
      if (statusCode !== 304 || !isKnown) throw refused(statusCode);
    }
    const { etag = known.etag, 'last-modified': lastModified = known.lastModified } = headers;
    return {
      isUnchanged: statusCode === 304,
      freshMs: freshFor(headers),
      etag: one(etag),
      lastModified: one(lastModified),
    };
  }

  /** Fails when more passes than a file may have. */
  #counted(): Transform {
    let bytes = 0;
    return new Transform({
      transform: (piece: Buffer, _encoding, done) => {
        bytes += piece.length;
        if (bytes > this.#limits.maxBytes) done(this.#tooLarge());
        else done(null, piece);
      },
    });
  }

  #tooLarge(): SoundError {
    return new SoundError(`The file is larger than ${Math.floor(this.#limits.maxBytes / 1_048_576)} MB.`);
  }

  /** Aborts what is under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#agent.destroy();
  }
}

/** Closes the connection of an answer that nobody reads. */
function abandon(body: Readable): void {
  // The closing itself is an error of the body, which the caller has told already.
  body.on('error', () => undefined).destroy();
}

const one = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

/** By `max-age` of RFC 9111, within bounds: also what must not be stored is played to all who ask within a second. */
function freshFor(headers: Dispatcher.ResponseData['headers']): number {
  const control = one(headers['cache-control']) ?? '';
  if (/\bno-(?:store|cache)\b/i.test(control)) return MIN_FRESH_MS;
  const maxAge = /\bmax-age=(\d{1,9})\b/i.exec(control)?.[1];
  if (maxAge === undefined) return DEFAULT_FRESH_MS;
  return Math.min(MAX_FRESH_MS, Math.max(MIN_FRESH_MS, Number(maxAge) * 1_000));
}

function refused(status: number): SoundError {
  const hint = status >= 300 && status < 400 ? '; redirects are not followed' : '';
  return new SoundError(`The server answered ${status}${hint}.`);
}

/** For errors of several addresses, which have no message. */
const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);

const STALLED = ['HeadersTimeoutError', 'BodyTimeoutError'];

function inWords(error: unknown, { hostname }: URL, limits?: DownloadLimits): SoundError {
  // Of what was aborted, the cause says why.
  const { cause } = error as { readonly cause?: unknown };
  const { name = '', message = '' } = cause instanceof Error ? cause : error instanceof Error ? error : {};
  const text = (): string => {
    if (name === 'TargetDeniedError') return `Media must not be fetched from ${hostname}.`;
    if (limits && name === 'TimeoutError')
      return `The server took longer than ${limits.timeoutMs / 1_000} s.`;
    if (limits && STALLED.includes(name)) return `The server sent nothing for ${limits.stallMs / 1_000} s.`;
    if (name === 'ConnectTimeoutError') return 'The server could not be reached in time.';
    return `The file could not be fetched: ${message === '' ? codeOf(error) : message}`;
  };
  return new SoundError(text(), { cause: error });
}
