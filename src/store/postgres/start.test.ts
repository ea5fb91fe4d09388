import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificate } from '../../../test/support/certificate.js';
import { freePort } from '../../../test/support/ports.js';
import { usePostgres } from '../../../test/support/use-postgres.js';
import { until } from '../../../test/support/until.js';
import { silentLog } from '../../shared/testing/index.js';
import { openStore, postgresTarget, StoreError, type Store } from '../index.js';

const server = usePostgres();
let dataDir: string;
let url: string;
let store: Store | undefined;

const open = async (at: string): Promise<Store> => {
  store = await openStore({ dataDir, postgres: postgresTarget(at), log: silentLog });
  return store;
};

const failure = async (at: string): Promise<string> => {
  const error: unknown = await open(at).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StoreError);
  return (error as Error).message;
};

describe('the start on PostgreSQL', () => {
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'patchbay-start-'));
    url = await server().database();
  });

  afterEach(async () => {
    await store?.close();
    store = undefined;
    await rm(dataDir, { recursive: true });
  });

  it.each([
    [
      'cannot be reached',
      async () => server().url('x', { port: await freePort() }),
      'nothing listens at 127.0.0.1',
    ],
    [
      'refuses the password',
      () => url.replace(/:[^:@]*@/, ':wrong-one@'),
      'refuses the password of the user patchbay',
    ],
    [
      'has no such user',
      () => url.replace('patchbay:', 'nobody:'),
      'refuses the password of the user nobody',
    ],
    ['wants a password', () => url.replace(/:[^:@]*@/, '@'), 'wants a password'],
    ['has no such database', () => server().url('nowhere'), 'createdb --owner=patchbay nowhere'],
    ['has no TLS', () => `${url}?sslmode=require`, 'cannot be used with sslmode=require'],
    [
      'has another encoding',
      () => server().database("ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"),
      'SQL_ASCII, not UTF8',
    ],
  ])('of a server that %s says so', async (_what, at, words) => {
    const said = await failure(await at());
    expect(said).toContain(words);
    expect(said).not.toMatch(/s3cret|wrong-one/);
  });

  it('of a user who may make no schema says what to do, and works in a schema that was made for it', async () => {
    await server().sql(`ALTER DATABASE ${url.replace(/^.*\//, '')} OWNER TO postgres`);
    expect(await failure(url)).toMatch(/GRANT CREATE ON DATABASE .* or make one that it owns/);
    await server().sql('CREATE SCHEMA patchbay AUTHORIZATION patchbay', url);
    await open(url);
    const others =
      "SELECT count(*) FROM pg_tables WHERE tableowner = 'patchbay' AND schemaname <> 'patchbay'";
    expect(await server().sql(others, url)).toEqual(['0']);
  });

  it('of a schema that the first version wrote brings it up to date', async () => {
    const before = await open(url);
    before.core.saveResumePoint({ participantId: 'p', externalId: 'e', point: { layout: [], revision: 7 } });
    before.calls.saveCall('call', 'document', 'edge');
    await before.close();
    await server().sql(
      `SET search_path = patchbay; DROP TABLE edges; ALTER TABLE calls DROP COLUMN edge;
       UPDATE schema_version SET version = 1`,
      url,
    );
    const { edges, calls } = await open(url);
    expect([calls.ownerOf('call'), calls.size]).toEqual([undefined, 1]);
    expect(calls.recordsOf('another edge')).toEqual([{ id: 'call', document: 'document' }]);
    expect(edges.edges()).toEqual([]);
    const record = { process: 'p', counted: 7, closing: {} };
    edges.saveEdge('one', record);
    await store!.close();
    const after = await open(url);
    expect(after.edges.edges()).toEqual([{ id: 'one', record }]);
    expect(after.core.load().resumePoints).toMatchObject([{ point: { revision: 7 } }]);
  });

  it('of a schema that a newer version wrote is refused, and nothing changed', async () => {
    await (await open(url)).close();
    store = undefined;
    await server().sql('UPDATE patchbay.schema_version SET version = 99', url);
    const leader = 'SELECT epoch, generation FROM patchbay.leader';
    const before = await server().sql(leader, url);
    expect(await failure(url)).toContain('has version 99');
    expect(await server().sql(leader, url)).toEqual(before);
  });

  it('encrypts, and checks the certificate, as it is told', async () => {
    const certificate = makeCertificate();
    await server().serveTls(certificate);
    const encrypted =
      "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'patchbay writer'";
    const verify = `${url}?sslmode=verify-full`;
    try {
      await until('TLS', () => open(`${url}?sslmode=require`).catch(() => false), { withinMs: 10_000 });
      expect(await server().sql(encrypted)).toEqual(['1']);
      await store!.close();
      expect(await failure(verify)).toMatch(/sslmode=verify-full: self-signed certificate/);
      await open(`${verify}&sslrootcert=${certificate.certFile}`);
      expect(await server().sql(encrypted)).toEqual(['1']);
      await store!.close();
      const otherName = verify.replace('127.0.0.1', 'localhost');
      expect(await failure(`${otherName}&sslrootcert=${certificate.certFile}`)).toMatch(
        /sslmode=verify-full: .*localhost/,
      );
      expect(await failure(`${verify}&sslrootcert=/nowhere.pem`)).toContain('sslrootcert');
      store = undefined;
    } finally {
      certificate.remove();
    }
  });

  it('takes durable commits, even where the server does without', async () => {
    await server().sql(`ALTER DATABASE ${url.replace(/^.*\//, '')} SET synchronous_commit = off`);
    const { core, flush } = await open(url);
    core.deleteSession('nowhere');
    await flush();
    // The setting of another session is seen by nobody else: a trigger tells it.
    await server().sql(
      `CREATE TABLE seen (value text);
       CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
       GRANT INSERT ON seen TO patchbay;
       CREATE TRIGGER see AFTER UPDATE ON patchbay.change_log FOR EACH STATEMENT EXECUTE FUNCTION see()`,
      url,
    );
    core.deleteSession('nowhere');
    await flush();
    expect(await server().sql('SELECT DISTINCT value FROM seen', url)).toEqual(['on']);
  });
});

describe('the URL of a database', () => {
  it.each([
    ['mysql://x/y', /^expected postgres:/],
    ['postgres://u:s3cret/x@h/d', /%2F/],
    ['postgres://h/d', /^expected a user/],
    ['postgres://u:s3cret@h', /^expected the name of a database/],
    ['postgres://u:s3cret@h/d?sslmode=prefer', /disable, require, verify-full/],
    ['postgres://u:s3cret@h/d?pool=5', /does not know the parameter pool/],
    ['postgres://u:s3cr%et@h/d', /%25/],
  ])('%s is refused, without its password', (text, words) => {
    expect(() => postgresTarget(text)).toThrow(words);
    expect(() => postgresTarget(text)).not.toThrow('s3cr');
  });

  it('says where and how', () => {
    expect(postgresTarget('postgresql://a%40b:p%3A%2F@[::1]/data')).toEqual({
      host: '::1',
      port: 5432,
      user: 'a@b',
      password: 'p:/',
      database: 'data',
      tls: 'disable',
      caFile: undefined,
    });
    expect(
      postgresTarget('postgres://u@db.example:6432/d?sslmode=verify-full&sslrootcert=/etc/ca.pem'),
    ).toMatchObject({ port: 6432, password: undefined, tls: 'verify-full', caFile: '/etc/ca.pem' });
    expect(postgresTarget('postgres://u@localhost/d?host=/run/postgresql').host).toBe('/run/postgresql');
  });
});
