import type { LookupAddress } from 'node:dns';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Resolve, TargetGuard } from './target-guard.js';

const guard = new TargetGuard({});

/** A resolver that knows one name. */
function finds(...addresses: string[]): Resolve {
  const found: LookupAddress[] = addresses.map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }));
  return (_name, _options, callback) => callback(null, found);
}

function lookedUp(resolve: Resolve, all: boolean, rules: TargetGuard = guard): Promise<unknown> {
  return new Promise((done, fail) => {
    rules.lookup(resolve)('name.example', { all }, (error, address, family) => {
      if (error) fail(error);
      else done(all ? address : { address, family });
    });
  });
}

describe('without rules of the operator', () => {
  it('link-local, metadata and group addresses are not called, however they are written', () => {
    const denied = [
      '169.254.169.254',
      '169.254.0.1',
      '::ffff:169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '::169.254.169.254',
      '::ffff:0:169.254.169.254',
      '64:ff9b:1::a9fe:a9fe',
      '64:ff9b:1:a9fe:a9:fe00::',
      '64:ff9b:1:a9:fe:a9fe::',
      '64:ff9b:1:0:a9:fea9:fe00:0',
      '2002:a9fe:a9fe::1',
      // Teredo: the server, and the client with its bits turned over.
      '2001:0:a9fe:a9fe::c633:6407',
      '2001:0:c633:6407::5601:5601',
      '2001:db8::5efe:a9fe:a9fe',
      '2001:db8::200:5efe:a9fe:a9fe',
      'fe80::1',
      'fd00:ec2::254',
      '100.100.100.200',
      '0.0.0.0',
      '::',
      '224.0.0.1',
      'ff02::1',
      '255.255.255.255',
      'nonsense',
    ];
    expect(denied.filter((address) => guard.allows(address))).toEqual([]);
  });

  it('public, private and loopback addresses are called', () => {
    const allowed = [
      ...['198.51.100.7', '10.0.0.1', '192.168.1.1', '127.0.0.1', '::1', 'fd12::1', '2001:db8::1'],
      ...['64:ff9b::c633:6407', '64:ff9b:1::c633:6407', '64:ff9b:1:c633:64:700::', '2002:c633:6407::1'],
      ...['::198.51.100.7', '2001:0:c633:6407::39cc:9bf8', '2001:db8::5efe:c633:6407'],
    ];
    expect(allowed.filter((address) => !guard.allows(address))).toEqual([]);
  });

  it('URLs that name a denied address are refused, in every spelling', () => {
    const denied = [
      'http://169.254.169.254/latest',
      'http://2852039166/',
      'http://0xa9fea9fe/',
      'http://0251.0376.0251.0376/',
      'http://169.254.43518/',
      'http://[::ffff:a9fe:a9fe]/',
      'http://[fe80::1]/',
      'http://[::169.254.169.254]/',
      'http://[2002:a9fe:a9fe::]/',
    ];
    for (const url of denied) expect(() => guard.checkLiteral(new URL(url)), url).toThrow('must not connect');
    expect(() => guard.checkLiteral(new URL('http://127.0.0.1:9/'))).not.toThrow();
    expect(() => guard.checkLiteral(new URL('http://name.example/'))).not.toThrow();
  });

  it('no address of the link-local range slips through', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(255), (c, d) => {
        expect(guard.allows(`169.254.${c}.${d}`)).toBe(false);
      }),
    );
  });
});

describe('rules of the operator', () => {
  it('allow only what is listed, and never what is denied', () => {
    const strict = new TargetGuard({ allow: ['10.0.0.0/8', '169.254.0.0/16'], deny: ['10.9.0.0/16'] });
    const tried = ['10.1.2.3', '10.9.0.1', '192.168.0.1', '169.254.169.254', '::1'];
    expect(tried.filter((address) => strict.allows(address))).toEqual(['10.1.2.3']);
  });

  it('count for the IPv4 addresses in IPv6 ones, and may be written as IPv4-mapped', () => {
    const strict = new TargetGuard({ deny: ['127.0.0.0/8', '::ffff:10.0.0.0/104'] });
    const tried = ['::127.0.0.1', '2002:7f00:1::', '::ffff:7f00:1', '10.1.1.1', '64:ff9b::a01:101'];
    expect(tried.filter((address) => strict.allows(address))).toEqual([]);
    expect(strict.allows('198.51.100.7')).toBe(true);
    expect(strict.allows('::1')).toBe(true);
  });

  it('must be addresses or CIDRs', () => {
    expect(new TargetGuard({ deny: ['10.0.0.1'] }).allows('10.0.0.1')).toBe(false);
    expect(() => new TargetGuard({ deny: ['10.0.0'] })).toThrow();
    expect(() => new TargetGuard({ deny: ['10.0.0.0/33'] })).toThrow();
  });
});

describe('a name', () => {
  it('is found with only its allowed addresses', async () => {
    const mixed = finds('169.254.169.254', '198.51.100.7', '::1');
    expect(await lookedUp(mixed, true)).toEqual([
      { address: '198.51.100.7', family: 4 },
      { address: '::1', family: 6 },
    ]);
    expect(await lookedUp(mixed, false)).toEqual({ address: '198.51.100.7', family: 4 });
  });

  it('is not found when there are none', async () => {
    await expect(lookedUp(finds('169.254.169.254'), true)).rejects.toThrow('must not connect');
    await expect(lookedUp(finds(), false)).rejects.toThrow('must not connect');
  });

  it('that cannot be resolved fails with the error of the lookup', async () => {
    const fails: Resolve = (_name, _options, callback) => callback(new Error('no such name'), []);
    await expect(lookedUp(fails, true)).rejects.toThrow('no such name');
  });
});
