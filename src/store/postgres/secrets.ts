import { randomBytes } from 'node:crypto';
import type { Connection } from './connection.js';
import { prepareSchema } from './schema.js';
import type { PostgresTarget } from './target.js';
import { inWords } from './words.js';
import { openToWrite } from './writer.js';

const SECRET_BYTES = 48;

/** What all gateways of a database know, and nobody else. */
interface Secrets {
  /** Signs participant tokens. */
  readonly tokenSecret: string;
  /** By it the gateways know each other. */
  readonly clusterSecret: string;
}

/**
 * Reads the secrets that all gateways of a database share. The first one makes them, and the schema.
 * @param given a token secret that is used in place of the database's, which is then neither made nor read
 * @throws StoreError that says what is wrong with the database
 */
export async function readSecrets(
  target: PostgresTarget,
  given: { readonly tokenSecret?: string | undefined } = {},
): Promise<Secrets> {
  let connection: Connection | undefined;
  try {
    connection = await openToWrite(target);
    await prepareSchema(connection);
    return {
      tokenSecret: given.tokenSecret ?? (await storedSecret(connection, 'token')),
      clusterSecret: await storedSecret(connection, 'cluster'),
    };
  } catch (error) {
    throw inWords(error, target);
  } finally {
    await connection?.end();
  }
}

/** Made by whoever is first. */
export async function storedSecret(connection: Connection, name: 'token' | 'cluster'): Promise<string> {
  await connection.rows('INSERT INTO secrets VALUES (?, ?) ON CONFLICT DO NOTHING', [
    name,
    randomBytes(SECRET_BYTES).toString('base64url'),
  ]);
  const [row] = await connection.rows('SELECT value FROM secrets WHERE name = ?', [name]);
  return String(row?.['value']);
}
