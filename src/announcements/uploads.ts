import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PatchbayError } from '../core/index.js';

export interface UploadLimits {
  /** Of one file. */
  readonly maxBytes: number;
  /** Of all files of an account. */
  readonly accountBytes: number;
}

/** A file that an application uploaded. */
export interface Upload {
  readonly name: string;
  readonly bytes: number;
  /** Epoch milliseconds. */
  readonly uploadedAt: number;
}

interface KeptUpload extends Upload {
  readonly path: string;
  /** Tells it from others that had, or will have, its name. */
  readonly version: string;
}

/** Letters that mean nothing to file systems and URLs, so that a name is the file's name too. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const DRAFT = '.draft-';
/** The disk is full, read-only, failing, or not the gateway's. */
const DISK_ERRORS = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EACCES'];
const MAX_FILES = 1_000;
/** Uploads of one account under way. */
const AT_ONCE = 4;

export function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw new PatchbayError(
    'PATCHBAY_BAD_REQUEST',
    'A name has 1 to 64 letters of A-Z, a-z, 0-9, dot, hyphen and underscore, the first of them no sign.',
  );
}

/** The files that applications uploaded: a folder for each account in the data folder, with a file for each name. */
export class Uploads {
  readonly #folder: string;
  readonly #limits: UploadLimits;
  /** By the account's folder, then by name. */
  readonly #accounts = new Map<string, Map<string, KeptUpload>>();
  readonly #underWay = new Map<string, number>();

  private constructor(folder: string, limits: UploadLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Finds what was uploaded to an earlier gateway. */
  static async open(folder: string, limits: UploadLimits): Promise<Uploads> {
    const uploads = new Uploads(folder, limits);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const account of await readdir(folder)) {
      const files = new Map<string, KeptUpload>();
      for (const name of await readdir(join(folder, account))) {
        const path = join(folder, account, name);
        if (name.startsWith(DRAFT)) await rm(path);
        else if (NAME.test(name)) files.set(name, await keptAt(path, name));
      }
      uploads.#accounts.set(account, files);
    }
    return uploads;
  }

  /** Bytes of all accounts. */
  get bytes(): number {
    return [...this.#accounts.values()].reduce((sum, files) => sum + sizeOf(files), 0);
  }

  list(accountId: string): readonly Upload[] {
    const files = [...(this.#accounts.get(folderOf(accountId))?.values() ?? [])];
    return files.sort((a, b) => (a.name < b.name ? -1 : 1)).map(shown);
  }

  /** @throws PatchbayError BAD_REQUEST, MEDIA_NOT_FOUND */
  find(accountId: string, name: string): KeptUpload {
    checkName(name);
    const found = this.#accounts.get(folderOf(accountId))?.get(name);
    if (!found) throw new PatchbayError('PATCHBAY_MEDIA_NOT_FOUND', 'There is no such file in the account.');
    return found;
  }

  /** The file as it was uploaded. @throws PatchbayError BAD_REQUEST, MEDIA_NOT_FOUND */
  read(accountId: string, name: string): Readable {
    return createReadStream(this.find(accountId, name).path);
  }

  /**
   * Takes a file, in place of the one that had its name.
   * @param check refuses, by rejection, a file that cannot be played
   * @returns it, and the version of the one that it replaced
   * @throws PatchbayError BAD_REQUEST, PAYLOAD_TOO_LARGE, TOO_MANY_REQUESTS, or what `check` throws
   */
  async put(
    accountId: string,
    name: string,
    body: Readable,
    check: (path: string, version: string) => Promise<void>,
  ): Promise<{ readonly upload: Upload; readonly replaced: string | undefined }> {
    checkName(name);
    const account = folderOf(accountId);
    const underWay = this.#underWay.get(account) ?? 0;
    if (underWay >= AT_ONCE) throw tooMany(`The account has ${AT_ONCE} uploads under way.`);
    this.#underWay.set(account, underWay + 1);
    try {
      return await this.#put(account, name, body, check);
    } finally {
      const left = this.#underWay.get(account)! - 1;
      if (left > 0) this.#underWay.set(account, left);
      else this.#underWay.delete(account);
    }
  }

  async #put(
    account: string,
    name: string,
    body: Readable,
    check: (path: string, version: string) => Promise<void>,
  ): Promise<{ readonly upload: Upload; readonly replaced: string | undefined }> {
    const folder = join(this.#folder, account);
    const version = randomUUID();
    const draft = join(folder, `${DRAFT}${version}`);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      await pipeline(
        body,
        upTo(this.#limits.maxBytes),
        createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true }),
      );
      const { size } = await stat(draft);
      this.#admit(account, name, size);
      await check(draft, version);
      // Others may have come meanwhile. From here to the table nothing is awaited but the disk.
      this.#admit(account, name, size);
      const path = join(folder, name);
      await rename(draft, path);
      await sync(folder);
      const kept = { ...(await keptAt(path, name)), version };
      const files = this.#filesOf(account);
      const replaced = files.get(name)?.version;
      files.set(name, kept);
      return { upload: shown(kept), replaced };
    } catch (error) {
      await rm(draft, { force: true });
      throw isOfDisk(error)
        ? new PatchbayError('PATCHBAY_STORE_UNAVAILABLE', 'The disk takes no writes: nothing was kept.', {
            cause: error,
          })
        : error;
    }
  }

  /** @returns the deleted file's version @throws PatchbayError BAD_REQUEST, MEDIA_NOT_FOUND */
  async delete(accountId: string, name: string): Promise<string> {
    const { path, version } = this.find(accountId, name);
    const account = folderOf(accountId);
    const files = this.#filesOf(account);
    files.delete(name);
    await rm(path, { force: true });
    const folder = join(this.#folder, account);
    await sync(folder);
    if (files.size === 0 && !this.#underWay.has(account)) {
      this.#accounts.delete(account);
      await rmdir(folder);
    }
    return version;
  }

  #filesOf(account: string): Map<string, KeptUpload> {
    const files = this.#accounts.get(account) ?? new Map<string, KeptUpload>();
    this.#accounts.set(account, files);
    return files;
  }

  #admit(account: string, name: string, size: number): void {
    const files = this.#accounts.get(account) ?? new Map<string, KeptUpload>();
    const before = files.get(name);
    if (!before && files.size >= MAX_FILES) throw tooMany(`An account keeps at most ${MAX_FILES} files.`);
    if (sizeOf(files) - (before?.bytes ?? 0) + size > this.#limits.accountBytes) {
      throw tooMany(
        `The files of an account take at most ${megabytes(this.#limits.accountBytes)} MB: delete some.`,
      );
    }
  }
}

/** Readable for the operator, and safe whatever the account is called. */
function folderOf(accountId: string): string {
  const hash = createHash('sha256').update(accountId).digest('hex').slice(0, 16);
  return `${accountId.replaceAll(/[^A-Za-z0-9]/g, '_').slice(0, 64)}-${hash}`;
}

async function keptAt(path: string, name: string): Promise<KeptUpload> {
  const { size, mtimeMs } = await stat(path);
  return { name, path, bytes: size, uploadedAt: Math.floor(mtimeMs), version: randomUUID() };
}

const shown = ({ name, bytes, uploadedAt }: KeptUpload): Upload => ({ name, bytes, uploadedAt });

const sizeOf = (files: ReadonlyMap<string, Upload>): number =>
  [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0);

const megabytes = (bytes: number): number => Math.floor(bytes / 1_048_576);

const isOfDisk = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && DISK_ERRORS.includes(String(error.code));

const tooMany = (message: string): PatchbayError => new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', message);

/**
 * Fails when more comes than may. What is not much more is read to its end first: a client that is still sending might
 * not read the answer.
 */
function upTo(maxBytes: number): Transform {
  let bytes = 0;
  const tooLarge = (): PatchbayError =>
    new PatchbayError('PATCHBAY_PAYLOAD_TOO_LARGE', `A file has at most ${megabytes(maxBytes)} MB.`);
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      bytes += piece.length;
      if (bytes <= maxBytes) done(null, piece);
      else if (bytes <= 2 * maxBytes) done();
      else done(tooLarge());
    },
    flush(done) {
      if (bytes > maxBytes) done(tooLarge());
      else done();
    },
  });
}

/** Syncs a folder to disk. */
async function sync(folder: string): Promise<void> {
  const file = await open(folder, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
