import { readConfig } from './read-config.js';
import { backup, type Moved, moveToPostgres, restore, StoreError } from '../store/index.js';

/** The commands `backup [FOLDER]`, `restore [FILE | empty]` and `migrate`, for the data folder PATCHBAY_DATA_DIR. */
async function maintain([command, argument]: readonly string[]): Promise<string> {
  const { dataDir, postgres, tokenSecret } = readConfig(process.env);
  if (command === 'migrate') {
    if (postgres === undefined)
      throw new StoreError(
        'PATCHBAY_STORE is not set: it says into which database the data folder is moved.',
      );
    const moved = await moveToPostgres({
      dataDir,
      target: postgres,
      hasSecret: tokenSecret !== undefined,
    });
    return movedWords(moved, dataDir);
  }
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
  throw new StoreError('Usage: backup [FOLDER], restore [FILE | empty] or migrate.');
}

function movedWords(moved: readonly Moved[], dataDir: string): string {
  const lines = moved.map(
    ({ table, rows, damaged }) =>
      `${table}: ${rows} rows${damaged > 0 ? `, and ${damaged} damaged ones were left out` : ''}`,
  );
  return `${lines.join('\n')}\nAll is in PostgreSQL, and ${dataDir} is as it was. Start the gateway with PATCHBAY_STORE; its way back is that folder, without what happens from then on.`;
}

try {
  process.stdout.write(`${await maintain(process.argv.slice(2))}\n`);
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${words}\n`);
  process.exitCode = 1;
}
