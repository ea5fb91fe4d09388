import { afterAll, beforeAll } from 'vitest';
import { type PostgresOptions, PostgresServer } from './postgres.js';

/** One server for the tests of a file or a group. */
export function usePostgres(options: PostgresOptions = {}): () => PostgresServer {
  let server: PostgresServer | undefined;
  beforeAll(async () => {
    server = await PostgresServer.start(options);
  }, 60_000);
  afterAll(() => server?.stop());
  return () => server!;
}
