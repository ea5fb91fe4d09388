import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toRow, type Write } from '../writes.js';
import { connect, type Database, rows } from './database.js';
import { migrate } from './schema.js';
import { transaction } from './statements.js';

let database: Database;

beforeEach(async () => {
  database = connect(':memory:');
  await migrate(database, ':memory:');
});

afterEach(() => database.close());

const save = (id: number, sealed: string): Write => ({
  name: 'saveCall',
  row: toRow({ id: String(id), sealed }),
});

async function texts(): Promise<unknown[]> {
  const found = await rows(database, 'SELECT * FROM calls ORDER BY id');
  return found.map(({ sealed }) => sealed);
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
    const remove = (id: number): Write => ({ name: 'deleteCall', row: toRow({ id: String(id) }) });
    await database.exec(transaction([save(1, 'old'), save(2, 'old'), remove(1), remove(2), save(1, 'new')]));
    expect(await texts()).toEqual(['new']);
  });

  it('is done as a whole or not at all', async () => {
    await database.exec('DROP TABLE webhooks');
    const wrong: Write = { name: 'saveWebhook', row: toRow({}) };
    await expect(database.exec(transaction([save(1, 'one'), wrong]))).rejects.toThrow('webhooks');
    await database.exec('ROLLBACK');
    expect(await texts()).toEqual([]);
  });

  it('may be large', async () => {
    const many = Array.from({ length: 20_000 }, (_, id) => save(id, 'x'.repeat(500)));
    await database.exec(transaction(many));
    expect(await rows(database, 'SELECT count(*) AS n FROM calls')).toEqual([{ n: 20_000 }]);
  }, 120_000);
});
