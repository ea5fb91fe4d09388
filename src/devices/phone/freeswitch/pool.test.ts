import { describe, expect, it } from 'vitest';
import { FreeswitchPool } from './media.js';
import { type FreeswitchServer, parseStatus } from './server.js';

const server = (address: string, available: boolean, load: number): FreeswitchServer =>
  ({ address, status: () => ({ address, available, load }) }) as unknown as FreeswitchServer;

const addresses = (servers: FreeswitchServer[]): string[] => servers.map(({ address }) => address);

describe('the pool', () => {
  it('offers the available ones, least loaded first', () => {
    const pool = new FreeswitchPool([
      server('busy', true, 0.7),
      server('down', false, 0),
      server('idle', true, 0.1),
    ]);
    expect(addresses(pool.candidates())).toEqual(['idle', 'busy']);
  });

  it('leaves out the one that a call comes from', () => {
    const [one, other] = [server('one', true, 0), server('other', true, 0.9)];
    const pool = new FreeswitchPool([one, other]);
    expect(addresses(pool.candidates(one))).toEqual(['other']);
  });
});

describe('FreeSWITCH’s status', () => {
  const STATUS = [
    'UP 0 years, 0 days, 0 hours, 0 minutes, 20 seconds',
    'FreeSWITCH (Version 1.11.3-dev  64bit) is ready',
    '9 session(s) since startup',
    '4 session(s) - peak 6, last 5min 6',
    '0 session(s) per Sec out of max 200, peak 2, last 5min 2',
    '1000 session(s) max',
  ].join('\n');

  it('tells how many channels there are and may be', () => {
    expect(parseStatus(STATUS)).toEqual({ channels: 4, maxChannels: 1000 });
  });

  it('is nothing else', () => {
    expect(() => parseStatus('-ERR no reply')).toThrow('Not a status');
  });
});
