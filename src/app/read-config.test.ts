import { getHeapStatistics } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { ConfigError, DEVELOPMENT_ACCOUNT, readConfig } from './read-config.js';

describe('readConfig', () => {
  it('works on one machine with nothing set', () => {
    const config = readConfig({});
    expect(config.accounts).toEqual([DEVELOPMENT_ACCOUNT]);
    expect(config).toMatchObject({
      http: { host: '127.0.0.1', port: 8080 },
      sip: { hosts: ['127.0.0.1'], port: 5060, allow: [], messagesPerSecond: 2000 },
      rtp: { host: '127.0.0.1', ports: [20_000, 29_999], asymmetric: [] },
      webrtc: { host: '127.0.0.1', port: 7000 },
      dataDir: './data',
      drachtio: [],
      freeswitch: { servers: [], fallbackToDirect: false },
      logLevel: 'info',
      drainMs: 30_000,
    });
    expect(config.publicIp).toBeUndefined();
    expect(config.tokenSecret).toBeUndefined();
  });

  it('treats an empty variable as unset', () => {
    expect(readConfig({ PATCHBAY_HTTP_PORT: '' }).http.port).toBe(8080);
  });

  it.each([
    ['', 'direct'],
    ['direct', 'direct'],
    ['on', 'everyone'],
    ['Off', 'nobody'],
    ['192.0.2.1, 10.0.0.0/8', ['192.0.2.1', '10.0.0.0/8']],
  ])('reads who may read the documents: "%s"', (text, expected) => {
    expect(readConfig({ PATCHBAY_DOCS: text }).docsFor).toEqual(expected);
  });

  it('lets direct clients read the metrics unless it names others', () => {
    expect(readConfig({}).metricsFor).toBe('direct');
    expect(readConfig({ PATCHBAY_METRICS_ALLOW: '192.0.2.0/24' }).metricsFor).toEqual(['192.0.2.0/24']);
    expect(() => readConfig({ PATCHBAY_METRICS_ALLOW: 'me' })).toThrow('PATCHBAY_METRICS_ALLOW: not an');
    expect(() => readConfig({ PATCHBAY_DOCS: 'yes' })).toThrow('PATCHBAY_DOCS: expected direct, on, off, or');
  });

  it('limits memory by the size of the heap, in all and for each account', () => {
    const heap = getHeapStatistics().heap_size_limit;
    expect(readConfig({}).memory.bytes / heap).toBeCloseTo(0.25);
    expect(readConfig({ PATCHBAY_MEMORY_MB: '64', PATCHBAY_ACCOUNT_MEMORY_MB: '8' }).memory).toEqual({
      bytes: 64 * 1024 * 1024,
      bytesPerAccount: 8 * 1024 * 1024,
    });
    expect(() => readConfig({ PATCHBAY_MEMORY_MB: '1e6' })).toThrow('--max-old-space-size');
  });

  it('knows operators among the accounts, of itself the development account only', () => {
    const two = { PATCHBAY_ACCOUNTS: '1:a:x,2:b:y' };
    expect(readConfig({}).operators).toEqual([DEVELOPMENT_ACCOUNT.id]);
    expect(readConfig(two).operators).toEqual([]);
    expect(readConfig({ ...two, PATCHBAY_OPERATORS: '2, 1' }).operators).toEqual(['2', '1']);
    expect(() => readConfig({ ...two, PATCHBAY_OPERATORS: '2,3' })).toThrow(
      'PATCHBAY_OPERATORS: 3 is not the id of an account; those of PATCHBAY_ACCOUNTS are 1, 2',
    );
  });

  it('lets each of several accounts have half of the calls by default', () => {
    const two = { PATCHBAY_ACCOUNTS: '1:a:x,2:b:y', PATCHBAY_MAX_CALLS: '9' };
    expect(readConfig({ PATCHBAY_MAX_CALLS: '9' }).devicesPerAccount).toBe(Infinity);
    expect(readConfig(two).devicesPerAccount).toBe(5);
    expect(readConfig({ ...two, PATCHBAY_MAX_CALLS: '' }).devicesPerAccount).toBe(Infinity);
    expect(readConfig({ ...two, PATCHBAY_MAX_CALLS_PER_ACCOUNT: '7' }).devicesPerAccount).toBe(7);
    expect(readConfig({ ...two, PATCHBAY_MAX_CALLS_PER_ACCOUNT: '0' }).devicesPerAccount).toBe(Infinity);
    expect(readConfig({ PATCHBAY_MAX_CALLS_PER_ACCOUNT: '3' }).devicesPerAccount).toBe(3);
  });

  it('reads the address for SIP applications and the URL of their router', () => {
    const env = { PATCHBAY_SIP_APPS: '[::1]:9022:a:b', PATCHBAY_SIP_ROUTER: 'https://r.example/route?k=1' };
    expect(readConfig(env).sip).toMatchObject({
      apps: { host: '::1', port: 9022, secret: 'a:b' },
      router: 'https://r.example/route?k=1',
    });
    expect(() => readConfig({ PATCHBAY_SIP_APPS: 'a:1:x,b:2:y' })).toThrow('PATCHBAY_SIP_APPS');
    expect(() => readConfig({ PATCHBAY_SIP_ROUTER: 'ftp://r.example' })).toThrow('PATCHBAY_SIP_ROUTER');
  });

  it('reads TURN servers with their secret, and refuses one without the other', () => {
    const env = {
      PATCHBAY_TURN_URLS: 'turn:a.example:3478?transport=udp, turns:b.example',
      PATCHBAY_TURN_SECRET: 's',
    };
    expect(readConfig(env).turn).toEqual({
      urls: ['turn:a.example:3478?transport=udp', 'turns:b.example'],
      secret: 's',
    });
    expect(readConfig({}).turn).toBeUndefined();
    for (const name of ['PATCHBAY_TURN_URLS', 'PATCHBAY_TURN_SECRET'] as const) {
      expect(() => readConfig({ [name]: env[name] })).toThrow(ConfigError);
    }
    expect(() => readConfig({ ...env, PATCHBAY_TURN_URLS: 'https://a.example' })).toThrow(
      'PATCHBAY_TURN_URLS',
    );
  });

  it('reads several accounts, with colons in a password', () => {
    expect(readConfig({ PATCHBAY_ACCOUNTS: '1:a:x:y, 2:b:z' }).accounts).toEqual([
      { id: '1', user: 'a', password: 'x:y' },
      { id: '2', user: 'b', password: 'z' },
    ]);
  });

  it('reads server lists, with IPv6 hosts in brackets', () => {
    expect(
      readConfig({ PATCHBAY_FREESWITCH: '[::1]:8021:Clue:Con,10.0.0.2:8022:s' }).freeswitch.servers,
    ).toEqual([
      { host: '::1', port: 8021, secret: 'Clue:Con' },
      { host: '10.0.0.2', port: 8022, secret: 's' },
    ]);
  });

  it.each([
    ['PATCHBAY_ACCOUNTS', 'only-an-id'],
    ['PATCHBAY_ACCOUNTS', '1:same:x,2:same:y'],
    ['PATCHBAY_HTTP_PORT', '65536'],
    ['PATCHBAY_SIP_ALLOW', '10.0.0.0/33'],
    ['PATCHBAY_SIP_ALLOW', '10'],
    ['PATCHBAY_RTP_PORTS', '20000'],
    ['PATCHBAY_RTP_PORTS', '30000-20000'],
    ['PATCHBAY_DRACHTIO', '127.0.0.1'],
    ['PATCHBAY_DRACHTIO_GRACE', '0'],
    ['PATCHBAY_LOG_LEVEL', 'loud'],
  ])('names %s when it is %j', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrowError(ConfigError);
    expect(() => readConfig({ [name]: value })).toThrowError(name);
  });

  it('names every wrong variable at once', () => {
    const read = () => readConfig({ PATCHBAY_HTTP_PORT: 'x', PATCHBAY_SIP_PORT: 'y' });
    expect(read).toThrowError(/PATCHBAY_HTTP_PORT[\s\S]*PATCHBAY_SIP_PORT/);
  });

  it.each([
    ['PATCHBAY_HTP_PORT', 'did you mean PATCHBAY_HTTP_PORT?'],
    ['PATCHBAY_SIP_PORTS', 'did you mean PATCHBAY_SIP_PORT?'],
    ['PATCHBAY_Public_Ip', 'did you mean PATCHBAY_PUBLIC_IP?'],
    ['PATCHBAY_COFFEE_MACHINE', 'docs/configuration.md lists all'],
  ])('does not take %s, which is no variable', (name, hint) => {
    expect(() => readConfig({ [name]: '1' })).toThrowError(`${name}: there is no such variable; ${hint}`);
  });

  it('leaves alone what Kubernetes, the tests and the files for production set', () => {
    const config = readConfig({
      PATCHBAY_SERVICE_HOST: '10.0.0.7',
      PATCHBAY_SERVICE_PORT: '8080',
      PATCHBAY_SERVICE_PORT_HTTP: '8080',
      PATCHBAY_PORT: 'tcp://10.0.0.7:8080',
      PATCHBAY_PORT_8080_TCP_ADDR: '10.0.0.7',
      PATCHBAY_TEST_COLUMN: 'direct',
      PATCHBAY_SECRET: 's3cret',
      OTHER: 'x',
    });
    expect(config.http.port).toBe(8080);
  });

  it('takes no number with something behind it', () => {
    expect(() => readConfig({ PATCHBAY_DRAIN_SECONDS: '5m' })).toThrowError('PATCHBAY_DRAIN_SECONDS');
    expect(() => readConfig({ PATCHBAY_API_RATE: '-1' })).toThrowError('PATCHBAY_API_RATE');
  });

  it('reads the settings of the SIP server', () => {
    const { sip } = readConfig({
      PATCHBAY_SIP_HOST: '192.0.2.1,2001:db8::1',
      PATCHBAY_SIP_TLS_CERT: '/tls/cert.pem',
      PATCHBAY_SIP_TLS_KEY: '/tls/key.pem',
      PATCHBAY_HEP: '192.0.2.9:9060:7:secret',
    });
    expect(sip).toMatchObject({
      hosts: ['192.0.2.1', '2001:db8::1'],
      tls: { port: 5061, certFile: '/tls/cert.pem', keyFile: '/tls/key.pem' },
      capture: { host: '192.0.2.9', port: 9060, agentId: 7, password: 'secret' },
    });
    expect(() => readConfig({ PATCHBAY_SIP_TLS_CERT: '/tls/cert.pem' })).toThrow('PATCHBAY_SIP_TLS_KEY');
    expect(() => readConfig({ PATCHBAY_HEP: 'homer' })).toThrow('PATCHBAY_HEP');
  });
});
