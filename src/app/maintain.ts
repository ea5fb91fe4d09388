import { readConfig } from './read-config.js';
import { backup, StoreError, restore } from '../store/index.js';

/** The commands `backup [FOLDER]` and `restore [FILE | empty]`, for the data folder PATCHBAY_DATA_DIR. */
async function maintain([command, argument]: readonly string[]): Promise<string> {
  const { dataDir, postgres } = readConfig(process.env);
  if (postgres !== undefined) {
    throw new StoreError(
      `PATCHBAY_STORE is set: the database is PostgreSQL's, and pg_dump and pg_restore copy and restore it (docs/postgresql.md). For the database in ${dataDir}: unset PATCHBAY_STORE.`,
    );
  }
  if (command === 'backup') {
    return `Copied to ${await backup(dataDir, argument)}. Keep ${dataDir}/token-secret with it.`;
  }
  if (command === 'restore') {
    const { from, aside } = await restore(dataDir, argument);
    const now =
      from === undefined ? 'The next start begins with nothing.' : `The next start uses the copy ${from}.`;
    return aside === undefined ? now : `${now} The old database is kept as ${aside}.`;
  }
  throw new StoreError('Usage: backup [FOLDER] or restore [FILE | empty].');
}

try {
  process.stdout.write(`${await maintain(process.argv.slice(2))}\n`);
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${words}\n`);
  process.exitCode = 1;
}
