import { describe, expect, it } from 'vitest';
import { Credentials } from './authentication.js';

const credentials = new Credentials([
  { id: '1', user: 'one', password: 'p:a:s:s' },
  { id: '2', user: 'two', password: 'ünïcode' },
  { id: '2', user: 'deputy', password: 'second' },
  { id: '4', user: 'long', password: 'x'.repeat(503) },
]);
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('credentials', () => {
  it.each([
    ['1', basic('one:p:a:s:s')],
    ['1', basic('one:p:a:s:s').replace('Basic', 'bAsIc  ')],
    ['2', basic('two:ünïcode')],
    ['2', basic('deputy:second')],
    ['4', basic(`long:${'x'.repeat(503)}`)],
    ['2', basic('deputy:second').replaceAll('=', '')],
  ])('open account %s with %s', (account, header) => {
    expect(credentials.faultOf(account, header)).toBeUndefined();
  });

  it.each([
    ['1', undefined],
    ['1', ''],
    ['1', 'Basic'],
    ['1', 'Basic '],
    ['1', basic('')],
    ['1', basic('one')],
    ['1', basic('one:')],
    ['1', basic('one:p:a:s')],
    ['1', basic('one:p:a:s:s ')],
    ['1', basic('one:p:a:s:s\0')],
    ['4', basic(`long:${'x'.repeat(504)}`)],
    ['4', basic(`long:${'x'.repeat(5000)}`)],
    ['1', basic('two:ünïcode')],
    ['1', `Bearer ${basic('one:p:a:s:s').slice(6)}`],
    ['1', `${basic('one:p:a:s:s')} x`],
    ['3', basic('one:p:a:s:s')],
    ['', basic('one:p:a:s:s')],
    ['__proto__', basic('one:p:a:s:s')],
    ['3', undefined],
  ])('do not open account %s with %s', (account, header) => {
    expect(credentials.faultOf(account, header)).toMatch(/Credentials|credentials|Authorization|wrong/);
  });

  it('are said to be missing, no credentials, wrong, or of another account', () => {
    expect(credentials.faultOf('1')).toMatch('are missing');
    expect(credentials.faultOf('1', 'Bearer abc')).toMatch('is not HTTP Basic');
    expect(credentials.faultOf('1', basic('one:p'))).toMatch('is wrong');
    expect(credentials.faultOf('1', basic('deputy:second'))).toMatch('of another account');
    // Nobody learns which accounts there are.
    expect(credentials.faultOf('3', basic('no:one'))).toBe(credentials.faultOf('1', basic('no:one')));
  });

  it('may not be longer than 508 bytes', () => {
    const account = { id: '5', user: 'long', password: 'x'.repeat(504) };
    expect(() => new Credentials([account])).toThrow(RangeError);
  });

  it('of one request do not count for the next', () => {
    expect(credentials.faultOf('1', basic('one:p:a:s:s'))).toBeUndefined();
    expect(credentials.faultOf('1', undefined)).toMatch('missing');
    expect(credentials.faultOf('1', basic('one:p:a:s:'))).toMatch('wrong');
  });
});
