import type { Writer } from '../engine.js';
import type { Database } from './database.js';
import { PROBE } from './schema.js';
import { transaction } from './statements.js';

/** Commits on a database file. */
export function libsqlWriter(database: Pick<Database, 'exec'>): Writer {
  return {
    advice: 'Check the disk of PATCHBAY_DATA_DIR',
    probe: async () => {
      await database.exec(PROBE);
    },
    commit: async (writes) => {
      try {
        await database.exec(transaction(writes));
      } catch (error) {
        // Fails if the transaction did not even begin.
        await database.exec('ROLLBACK').catch(() => undefined);
        throw error;
      }
    },
  };
}
