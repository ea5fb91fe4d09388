import { openDatabase } from '../database.js';
import { type ReaderJob, runJob } from '../usage-reader/queries.js';
import type { UsageReader } from '../usage-reader/usage-reader.js';

/** Reads usage in this process, which costs a test of something else less than one of its own. */
export function readHere(path: string): UsageReader {
  const opening = openDatabase(path);
  return {
    read: async <K extends ReaderJob['kind']>(_owner: string, job: ReaderJob & { readonly kind: K }) =>
      runJob<K>(await opening, job),
    close: async () => (await opening).close(),
  };
}
