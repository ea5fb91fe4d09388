import { rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { PatchbayError } from '../core/index.js';
import { BoundedMap, type Clock } from '../shared/index.js';
import { Decoder, SoundError, type SoundInput } from './decoder/index.js';
import { Downloads, type DownloadLimits, type FetchGuard, type Validators } from './download.js';
import { type HeldSound, SoundCache } from './sound-cache.js';
import { checkName, type Upload, type UploadLimits, Uploads } from './uploads.js';

/** Names of the gateway's own tones. */
export const TONES = ['join', 'leave', 'ringback', 'music'] as const;

/** Where a sound comes from. */
export type SoundSource =
  | { readonly kind: 'tone'; readonly name: (typeof TONES)[number] }
  | { readonly kind: 'upload'; readonly accountId: string; readonly name: string }
  | { readonly kind: 'url'; readonly accountId: string; readonly url: string }
  /** A file of the operator. */
  | { readonly kind: 'file'; readonly path: string };

const MAX_URL_LENGTH = 2_048;
/** Files fetched at once, for all accounts and for one. */
const FETCHED_AT_ONCE = 16;
const FETCHED_PER_ACCOUNT = 4;
/** What servers said of files that are in the cache. */
const MAX_KNOWN_URLS = 10_000;

/**
 * Reads a `mediaUrl`.
 * @throws PatchbayError BAD_REQUEST when it is of no known form
 */
export function soundSource(accountId: string, mediaUrl: string): SoundSource {
  const tone = TONES.find((name) => mediaUrl === `tone:${name}`);
  if (tone) return { kind: 'tone', name: tone };
  if (mediaUrl.startsWith('media:')) {
    const name = mediaUrl.slice('media:'.length);
    checkName(name);
    return { kind: 'upload', accountId, name };
  }
  const isUrl = mediaUrl.length <= MAX_URL_LENGTH && URL.canParse(mediaUrl);
  if (isUrl && ['http:', 'https:'].includes(new URL(mediaUrl).protocol)) {
    return { kind: 'url', accountId, url: mediaUrl };
  }
  throw new PatchbayError(
    'PATCHBAY_BAD_REQUEST',
    `mediaUrl must be an http or https URL of at most ${MAX_URL_LENGTH} characters, media: with the name of an ` +
      `uploaded file, or one of ${TONES.map((name) => `tone:${name}`).join(', ')}.`,
  );
}

interface SoundsOptions {
  readonly uploadsFolder: string;
  readonly cacheFolder: string;
  readonly cacheBytes: number;
  readonly maxSeconds: number;
  readonly uploads: UploadLimits;
  readonly downloads: DownloadLimits;
  readonly guard: FetchGuard;
  readonly clock: Clock;
}

/** What is known of a fetched file. */
interface Freshness extends Validators {
  /** On the monotonic clock. */
  readonly until: number;
}

/** The media library: finds, fetches and decodes sounds, each once for all who want it, and keeps what was decoded. */
export class Sounds {
  readonly #cache: SoundCache;
  readonly #uploads: Uploads;
  readonly #downloads: Downloads;
  readonly #decoder = new Decoder();
  readonly #clock: Clock;
  readonly #maxSeconds: number;
  /** What is being fetched and decoded, by key. */
  readonly #underWay = new Map<string, Promise<void>>();
  /** Files that are being fetched, by account. */
  readonly #fetching = new Map<string, number>();
  readonly #fresh = new BoundedMap<string, Freshness>(MAX_KNOWN_URLS);
  #fetched = 0;
  #failed = 0;

  private constructor(cache: SoundCache, uploads: Uploads, options: SoundsOptions) {
    this.#cache = cache;
    this.#uploads = uploads;
    this.#downloads = new Downloads(options.guard, options.downloads);
    this.#clock = options.clock;
    this.#maxSeconds = options.maxSeconds;
  }

  static async open(options: SoundsOptions): Promise<Sounds> {
    const cache = await SoundCache.open(options.cacheFolder, options.cacheBytes);
    return new Sounds(cache, await Uploads.open(options.uploadsFolder, options.uploads), options);
  }

  counts() {
    return {
      cacheBytes: this.#cache.bytes,
      uploadBytes: this.#uploads.bytes,
      fetching: this.#fetchingNow(),
      fetched: this.#fetched,
      fetchesFailed: this.#failed,
      decodings: this.#decoder.decodings,
    };
  }

  /**
   * Checks, as far as can be told at once, that a sound can be had.
   * @throws PatchbayError BAD_REQUEST, MEDIA_NOT_FOUND, TOO_MANY_REQUESTS
   */
  admit(source: SoundSource): void {
    if (source.kind === 'upload') this.#uploads.find(source.accountId, source.name);
    if (source.kind !== 'url') return;
    try {
      this.#downloads.check(new URL(source.url));
    } catch (error) {
      throw new PatchbayError('PATCHBAY_BAD_REQUEST', (error as Error).message, { cause: error });
    }
    const key = this.#keyOf(source);
    if (this.#isKnown(source, key) || this.#underWay.has(key)) return;
    const own = this.#fetching.get(source.accountId) ?? 0;
    if (own >= FETCHED_PER_ACCOUNT || this.#fetchingNow() >= FETCHED_AT_ONCE) {
      throw new PatchbayError(
        'PATCHBAY_TOO_MANY_REQUESTS',
        'Too many files are being fetched: retry when some of them have come.',
      );
    }
  }

  /** A sound that can be played at once. */
  known(source: SoundSource): HeldSound | undefined {
    const key = this.#keyOf(source);
    return this.#isKnown(source, key) ? this.#cache.hold(key) : undefined;
  }

  /** Brings a sound into the cache. @throws SoundError when it cannot be had or played; PatchbayError MEDIA_NOT_FOUND */
  async load(source: SoundSource): Promise<HeldSound> {
    const key = this.#keyOf(source);
    if (!this.#isKnown(source, key)) {
      const underWay = this.#underWay.get(key) ?? this.#begin(source, key);
      await underWay;
    }
    const held = this.#cache.hold(key);
    if (!held) throw new SoundError('The file was replaced or deleted meanwhile.');
    return held;
  }

  list(accountId: string): readonly Upload[] {
    return this.#uploads.list(accountId);
  }

  find(accountId: string, name: string): Upload {
    return this.#uploads.find(accountId, name);
  }

  read(accountId: string, name: string): Readable {
    return this.#uploads.read(accountId, name);
  }

  /** Takes an upload that can be played. @throws PatchbayError, also BAD_MEDIA */
  async upload(accountId: string, name: string, body: Readable): Promise<Upload> {
    let decoded = '';
    try {
      const { upload, replaced } = await this.#uploads.put(accountId, name, body, (path, version) => {
        decoded = uploadKey(version);
        return this.#decodeUpload(decoded, path);
      });
      if (replaced !== undefined) this.#cache.drop(uploadKey(replaced));
      return upload;
    } catch (error) {
      this.#cache.drop(decoded);
      throw error;
    }
  }

  async #decodeUpload(key: string, file: string): Promise<void> {
    try {
      await this.#decode(key, { file });
    } catch (error) {
      if (!(error instanceof SoundError)) throw error;
      throw new PatchbayError('PATCHBAY_BAD_MEDIA', error.message, { cause: error });
    }
  }

  async deleteUpload(accountId: string, name: string): Promise<void> {
    this.#cache.drop(uploadKey(await this.#uploads.delete(accountId, name)));
  }

  async close(): Promise<void> {
    this.#decoder.close();
    await this.#downloads.stop();
    await Promise.allSettled(this.#underWay.values());
  }

  #fetchingNow(): number {
    return [...this.#fetching.values()].reduce((sum, count) => sum + count, 0);
  }

  #keyOf(source: SoundSource): string {
    switch (source.kind) {
      case 'tone':
        return `tone ${source.name}`;
      case 'upload':
        return uploadKey(this.#uploads.find(source.accountId, source.name).version);
      case 'url':
        return `url ${source.url}`;
      case 'file':
        return `file ${source.path}`;
    }
  }

  #isKnown(source: SoundSource, key: string): boolean {
    if (!this.#cache.has(key)) return false;
    return source.kind !== 'url' || this.#clock.monotonic() < (this.#fresh.get(key)?.until ?? 0);
  }

  #begin(source: SoundSource, key: string): Promise<void> {
    const work = this.#bring(source, key).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, work);
    return work;
  }

  #bring(source: SoundSource, key: string): Promise<void> {
    switch (source.kind) {
      case 'tone':
        return this.#decode(key, { tone: source.name });
      case 'upload':
        return this.#decode(key, { file: this.#uploads.find(source.accountId, source.name).path });
      case 'file':
        return this.#decode(key, { file: source.path });
      case 'url':
        return this.#fetch(source.accountId, source.url, key);
    }
  }

  async #fetch(accountId: string, url: string, key: string): Promise<void> {
    this.#fetching.set(accountId, (this.#fetching.get(accountId) ?? 0) + 1);
    const draft = this.#cache.draft();
    try {
      const known = this.#cache.has(key) ? this.#fresh.get(key) : undefined;
      const { isUnchanged, freshMs, ...validators } = await this.#downloads.fetch(new URL(url), draft, known);
      if (!isUnchanged) await this.#decode(key, { file: draft });
      this.#fresh.set(key, { ...validators, until: this.#clock.monotonic() + freshMs });
      this.#fetched += 1;
    } catch (error) {
      this.#failed += 1;
      throw error;
    } finally {
      const left = this.#fetching.get(accountId)! - 1;
      if (left > 0) this.#fetching.set(accountId, left);
      else this.#fetching.delete(accountId);
      await rm(draft, { force: true });
    }
  }

  async #decode(key: string, input: SoundInput): Promise<void> {
    const path = this.#cache.draft();
    try {
      const decoded = await this.#decoder.decode({ input, target: path, maxSeconds: this.#maxSeconds });
      this.#cache.add(key, { ...decoded, path });
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }
}

const uploadKey = (version: string): string => `upload ${version}`;
