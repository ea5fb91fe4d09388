import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { chmod, link, lstat, mkdir, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { MediaListener, MediaPlaneEvent } from '../door.js';

/** Longest path of a Unix socket: `sun_path` of unix(7) without the zero at its end. */
const MAX_SOCKET_PATH = 107;

const SOCKET = '.sock';
const PIPE = '.pipe';
const LOG = '.log';
const ID = /^[0-9a-f]{8}$/;

/** Made by {@link HostFolder.newId}: eight hexadecimal digits. */
type HostId = string;

/**
 * The folder of the media hosts, `media-hosts` in the data folder: a secret, the sockets of the hosts that live, and
 * their logs from times without a gateway. Only the gateway's user may enter it.
 */
export class HostFolder {
  readonly #path: string;
  readonly #sockets: string;
  readonly secret: string;

  private constructor(path: string, sockets: string, secret: string) {
    this.#path = path;
    this.#sockets = sockets;
    this.secret = secret;
  }

  /** Makes what is missing. */
  static async open(dataDir: string): Promise<HostFolder> {
    const path = join(resolve(dataDir), 'media-hosts');
    await mkdir(path, { recursive: true, mode: 0o700 });
    const secret = await keptIn(join(path, 'secret'), () => randomBytes(32).toString('hex'));
    const sockets = await socketFolder(path);
    return new HostFolder(path, sockets, secret);
  }

  static newId(): HostId {
    return randomBytes(4).toString('hex');
  }

  /** Where a host listens for gateways. */
  socketOf(id: HostId): string {
    return join(this.#sockets, id + SOCKET);
  }

  /** Where a host listens for the pipes of other hosts. */
  pipeSocketOf(id: HostId): string {
    return join(this.#sockets, id + PIPE);
  }

  logOf(id: HostId): string {
    return join(this.#path, id + LOG);
  }

  /** The hosts that have a socket; those that were killed have one, too. */
  async ids(): Promise<HostId[]> {
    const names = await readdir(this.#sockets);
    return names
      .filter((name) => name.endsWith(SOCKET))
      .map((name) => name.slice(0, -SOCKET.length))
      .filter((id) => ID.test(id));
  }

  /** Removes the files of a host that is dead. Its log is kept until there are {@link KEPT_LOGS} newer ones. */
  async forget(id: HostId): Promise<void> {
    for (const path of [this.socketOf(id), this.pipeSocketOf(id)]) await unlink(path).catch(ignoreMissing);
    const logs = (await readdir(this.#path)).filter((name) => name.endsWith(LOG));
    if (logs.length <= KEPT_LOGS) return;
    const dated = await Promise.all(
      logs.map(async (name) => ({
        path: join(this.#path, name),
        at: (await lstat(join(this.#path, name))).mtimeMs,
      })),
    );
    dated.sort((a, b) => a.at - b.at);
    for (const { path } of dated.slice(0, -KEPT_LOGS)) await unlink(path).catch(ignoreMissing);
  }

  /** A number higher than that of any earlier gateway. The caller must have locked the data folder. */
  async nextEpoch(): Promise<number> {
    const file = join(this.#path, 'epoch');
    const before = Number(await readFile(file, 'utf8').catch(() => '0'));
    // A restored data folder may have an older number.
    const epoch = Math.max((Number.isSafeInteger(before) ? before : 0) + 1, Date.now());
    await writeFile(`${file}.new`, String(epoch), { mode: 0o600 });
    await rename(`${file}.new`, file);
    return epoch;
  }
}

const KEPT_LOGS = 16;

/** The content of a file, which is made if there is none. Two processes that make it at once get the same content. */
async function keptIn(path: string, make: () => string): Promise<string> {
  const known = await readFile(path, 'utf8').catch((error: unknown) => {
    if (!isCode(error, 'ENOENT')) throw error;
  });
  if (known !== undefined) return known;
  const draft = `${path}.${HostFolder.newId()}`;
  await writeFile(draft, make(), { mode: 0o600, flag: 'wx' });
  // Linked when it is complete: another process may be reading.
  await link(draft, path).catch((error: unknown) => {
    if (!isCode(error, 'EEXIST')) throw error;
  });
  await unlink(draft);
  return readFile(path, 'utf8');
}

/**
 * The folder of the sockets: the hosts' own if its path is short enough, else one in the folder for temporary files,
 * whose path is kept in the hosts' folder.
 */
async function socketFolder(path: string): Promise<string> {
  if (Buffer.byteLength(join(path, HostFolder.newId() + SOCKET)) <= MAX_SOCKET_PATH) return path;
  const name = createHash('sha256').update(path).digest('hex').slice(0, 16);
  const folder = await keptIn(join(path, 'sockets'), () => join(tmpdir(), `patchbay-${name}`));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { uid } = await lstat(folder);
  if (process.getuid && uid !== process.getuid())
    throw new Error(`${folder} belongs to another user, but sockets of media hosts are to be made in it.`);
  await chmod(folder, 0o700);
  return folder;
}

function ignoreMissing(error: unknown): void {
  if (!isCode(error, 'ENOENT')) throw error;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Most bytes that are logged while no gateway is connected. */
const MAX_BYTES = 1024 * 1024;

/** A host's log: lines go to the gateway or, while there is none, to a file of bounded size. */
export class HostLog {
  readonly #path: string;
  #send: MediaListener<MediaPlaneEvent> | undefined;
  #written = 0;

  /** @param path of the file, which is made for the first line */
  constructor(path: string) {
    this.#path = path;
  }

  /** From now on lines go here; absent: to the file. */
  sendTo(gateway: MediaListener<MediaPlaneEvent> | undefined): void {
    this.#send = gateway;
    this.#written = 0;
  }

  readonly write: MediaListener<MediaPlaneEvent> = (event) => {
    if (this.#send) {
      this.#send(event);
      return;
    }
    if (this.#written > MAX_BYTES) return;
    const { level, fields, message } = event;
    const line = `${JSON.stringify({ time: Date.now(), level, ...fields, msg: message })}\n`;
    this.#written += line.length;
    try {
      appendFileSync(this.#path, line, { mode: 0o600 });
    } catch {
      // For example a full disk. There is nobody to tell, and the calls matter more than the log.
      this.#written = Number.POSITIVE_INFINITY;
    }
  };
}
