import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Database, rows, toRow, transaction } from './database.js';

const SAVE = "INSERT OR REPLACE INTO things SELECT value->>'id', value->>'text', value FROM rows";
const DELETE_ALL = 'DELETE FROM things';

let database: Database;

beforeEach(async () => {
  database = connect(':memory:');
  await database.exec('CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT, document TEXT) STRICT');
});

afterEach(() => database.close());

const save = (id: number, text: string) => ({ sql: SAVE, row: toRow({ id, text }) });

async function texts(): Promise<unknown[]> {
  const found = await rows(database, 'SELECT * FROM things ORDER BY id');
  return found.map(({ text, document }) => {
    expect(JSON.parse(String(document))).toHaveProperty('text', text);
    return text;
  });
}

describe('a transaction', () => {
  it('writes any text as it is', async () => {
    const written = ["it's", "'); DROP TABLE things; --", 'a "b" \\ \\u0000 \n\t', 'ü€😀', ''];
    await database.exec(transaction(written.map((text, id) => save(id, text))));
    expect(await texts()).toEqual(written);
  });

  it('has U+FFFD in the place of what the database could not return', async () => {
    await database.exec(transaction([save(1, 'a\0b'), save(2, '\ud800x\udc00'), save(3, '\\\ud800')]));
    expect(await texts()).toEqual(['a\ufffdb', '\ufffdx\ufffd', '\\\ufffd']);
  });

  it('keeps the order of its writes', async () => {
    const clear = { sql: DELETE_ALL, row: toRow({}) };
    await database.exec(transaction([save(1, 'old'), save(2, 'old'), clear, save(1, 'new')]));
    expect(await texts()).toEqual(['new']);
  });

  it('is done as a whole or not at all', async () => {
    const wrong = { sql: 'INSERT INTO nowhere SELECT value FROM rows', row: toRow({}) };
    await expect(database.exec(transaction([save(1, 'one'), wrong]))).rejects.toThrow('nowhere');
    await database.exec('ROLLBACK');
    expect(await texts()).toEqual([]);
  });

  it('may be large', async () => {
    const many = Array.from({ length: 20_000 }, (_, id) => save(id, 'x'.repeat(500)));
    await database.exec(transaction(many));
    expect(await rows(database, 'SELECT count(*) AS n FROM things')).toEqual([{ n: 20_000 }]);
  }, 120_000);
});
