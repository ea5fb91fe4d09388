import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TcpRelay } from '../../../test/support/tcp-relay.js';
import { until } from '../../../test/support/until.js';
import { usePostgres } from '../../../test/support/use-postgres.js';
import type { Log } from '../../shared/index.js';
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

async function open(
  holder: string,
  { address, port, log = silentLog }: { address?: string; port?: number; log?: Log } = {},
) {
  const target = postgresTarget(url);
  const lease = await Lease.open({
    target: port === undefined ? target : { ...target, port },
    holder,
    address,
    onDeposed: () => undefined,
    log,
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

  it('stays with the leader of before when the database was away from all for longer than it lasts', async () => {
    const relays = [await TcpRelay.start(server().port), await TcpRelay.start(server().port)] as const;
    for (const relay of relays) closing.push(() => relay.stop());
    const told: string[] = [];
    const logOf = (name: string): Log => ({
      ...silentLog,
      info: (_fields, message) => void told.push(`${name}: ${message}`),
    });
    const leader = await open('leader', { port: relays[0].port, log: logOf('leader') });
    const standby = await open('standby', { port: relays[1].port, log: logOf('standby') });
    await claim(leader);
    const quit = new AbortController();
    closing.push(async () => {
      quit.abort();
      await free.catch(() => undefined);
    });
    let isFree = false;
    const free = standby.whenFree(quit.signal).then(() => (isFree = true));
    for (const relay of relays) relay.down();
    const [row] = await server().sql('SELECT expires_at FROM patchbay.leader', url);
    await until(
      'the end of the lease',
      async () => (await server().sql(`SELECT now() > '${row}'`, url))[0] === 't',
      within,
    );
    relays[1].up();
    await until('the standby', () => told.some((line) => line.startsWith('standby')), within);
    expect(isFree).toBe(false);
    relays[0].up();
    await until('the leader', () => leader.isHeld, within);
    expect([isFree, (await standby.leader())?.epoch]).toEqual([false, 1]);
    // One that does not come back is not waited for long.
    relays[0].down();
    await free;
    expect(isFree).toBe(true);
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
