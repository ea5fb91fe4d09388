import { randomBytes } from 'node:crypto';
import { chmod, link, open, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../shared/index.js';
import { codeOf, DataFolderError, draftIn, inWords } from './data-folder.js';

const FILE = 'token-secret';
const SECRET_BYTES = 48;
const GO_ON =
  'restore the right one, or delete the file, which makes all tokens issued so far invalid; or set PATCHBAY_TOKEN_SECRET.';

/** The secret that signs participant tokens, and whether it existed before this start. */
interface TokenSecret {
  readonly secret: string;
  readonly found: boolean;
}

/**
 * Reads the secret. The first start makes it, readable only by the gateway's user.
 * @throws DataFolderError when the file is there but cannot be used
 */
export async function tokenSecret(dataDir: string, log: Log): Promise<TokenSecret> {
  const path = join(dataDir, FILE);
  const kept = await storedSecret(dataDir);
  if (kept !== undefined) {
    await closeToOthers(path, log);
    return { secret: kept, found: true };
  }
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  try {
    await writeOnce(dataDir, path, secret);
  } catch (error) {
    throw inWords(error, path);
  }
  return { secret, found: false };
}

/**
 * Reads the secret, if there is one.
 * @throws DataFolderError when the file is there but cannot be used
 */
export async function storedSecret(dataDir: string): Promise<string | undefined> {
  const path = join(dataDir, FILE);
  const kept = await readIfThere(path);
  if (kept !== undefined) checkSecret(path, kept);
  return kept;
}

function checkSecret(path: string, secret: string): void {
  if (secret === '') throw new DataFolderError(`${path} is empty: ${GO_ON}`);
  if (/[\0\ufffd]/.test(secret))
    throw new DataFolderError(`${path} is damaged, it does not hold text: ${GO_ON}`);
}

/** Makes the file private: whoever can read the secret can make tokens for everybody. */
async function closeToOthers(path: string, log: Log): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  const fields = { file: path, mode: (mode & 0o777).toString(8) };
  log.warn(
    fields,
    'the token secret was readable by other users: whoever read it can make tokens; it is private now',
  );
  try {
    await chmod(path, 0o600);
  } catch (error) {
    log.warn({ file: path, err: error }, 'the mode of the token secret could not be changed: set it to 600');
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw inWords(error, path);
  }
}

/** Writes the whole file or, even if the power fails, none of it. */
async function writeOnce(dataDir: string, path: string, text: string): Promise<void> {
  const draft = draftIn(dataDir);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${text}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await link(draft, path);
  await unlink(draft);
}
