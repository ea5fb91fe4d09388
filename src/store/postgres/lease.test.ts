import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TcpRelay } from '../../../test/support/tcp-relay.js';
import { until } from '../../../test/support/until.js';
import { usePostgres } from '../../../test/support/use-postgres.js';
import { silentLog } from '../../shared/testing/index.js';
import { Lease, postgresTarget, readSecrets } from '../index.js';
import { openToWrite } from './writer.js';

const server = usePostgres();
const within = { withinMs: 20_000 };
let url: string;
const closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  url = await server().database();
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(holder: string, { address, port }: { address?: string; port?: number } = {}) {
  const target = postgresTarget(url);
  const lease = await Lease.open({
    target: port === undefined ? target : { ...target, port },
    holder,
    address,
    onDeposed: () => undefined,
    log: silentLog,
  });
  closing.push(() => lease.release());
  return lease;
}

async function claim(lease: Lease): Promise<void> {
  const connection = await openToWrite(postgresTarget(url));
  await lease.claim(connection);
  await connection.end();
}

describe('the lease of the leader', () => {
  it('tells all gateways who leads and where, and when that changes', async () => {
    const one = await open('one', { address: '192.0.2.1:7400' });
    const other = await open('other');
    let woken = 0;
    const unlisten = other.onLeader(() => (woken += 1));
    expect(await other.leader()).toBeUndefined();
    await claim(one);
    await until('word of the leader', () => woken > 0, within);
    expect(await other.leader()).toEqual({ epoch: 1, holder: 'one', address: '192.0.2.1:7400' });
    expect(await one.leader()).toEqual(await other.leader());
    expect([await one.holder(), await other.holder()]).toEqual([undefined, 'one']);
    woken = 0;
    await one.release();
    await until('word of the end', () => woken > 0, within);
    expect(await other.leader()).toBeUndefined();
    unlisten();
    woken = 0;
    await claim(other);
    expect(await other.leader()).toEqual({ epoch: 2, holder: 'other' });
    expect(woken).toBe(0);
    await expect(one.leader()).rejects.toThrow('given back');
  });

  it('says that it may have changed while the database was away', async () => {
    const relay = await TcpRelay.start(server().port);
    closing.push(() => relay.stop());
    const lease = await open('one', { port: relay.port });
    let woken = 0;
    lease.onLeader(() => (woken += 1));
    relay.down();
    await until(
      'the loss',
      async () =>
        lease.leader().then(
          () => false,
          () => true,
        ),
      within,
    );
    relay.up();
    // Both wait for the same new connection.
    expect(await Promise.all([lease.leader(), lease.leader()])).toEqual([undefined, undefined]);
    expect(woken).toBe(1);
  });
});

describe('the secrets of a database', () => {
  it('are made once, and the same for all gateways', async () => {
    const target = postgresTarget(url);
    const all = await Promise.all(Array.from({ length: 4 }, () => readSecrets(target)));
    const [first] = all;
    expect(all).toEqual(Array(4).fill(first));
    expect(first!.tokenSecret).not.toBe(first!.clusterSecret);
    expect([first!.tokenSecret.length, first!.clusterSecret.length]).toEqual([64, 64]);
  });

  it('are read and made without that of tokens when it is given', async () => {
    const target = postgresTarget(url);
    const { tokenSecret, clusterSecret } = await readSecrets(target, { tokenSecret: 'given' });
    expect(tokenSecret).toBe('given');
    expect(await server().sql('SELECT name FROM patchbay.secrets', url)).toEqual(['cluster']);
    expect((await readSecrets(target)).clusterSecret).toBe(clusterSecret);
    await expect(readSecrets({ ...target, password: 'wrong' })).rejects.toThrow('refuses the password');
  });
});
