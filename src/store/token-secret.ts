import { randomBytes } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'token-secret';
const SECRET_BYTES = 48;

/** The secret that signs participant tokens: made at the first start, readable by the gateway's user alone. */
export async function tokenSecret(dataDir: string): Promise<string> {
  const path = join(dataDir, FILE);
  const kept = await readIfThere(path);
  if (kept !== undefined) return kept;
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  await writeOnce(path, secret);
  return secret;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whole or not at all, also when the power goes. */
async function writeOnce(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}`;
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
