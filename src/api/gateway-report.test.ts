import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { basic, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
beforeEach(async () => {
  gateway = await startApi();
});
afterEach(() => gateway.stop());

const json = async (answer: Promise<Response>) => (await (await answer).json()) as Record<string, unknown>;

describe('the gateway', () => {
  it('is shown whole to an operator', async () => {
    const report = await json(gateway.ask('/gateway'));
    expect(report).toMatchObject({
      version: '1.2.3',
      own: { devices: { browser: 2, phone: 1 }, eventReaders: 0, maxEventReaders: 32 },
      gateway: {
        load: { state: 'open', devices: { browser: 4, phone: 5 } },
        gateways: [{ id: 'g', leads: true, connected: true, devices: 9 }],
        mediaHosts: [{ id: 'h', devices: 3 }],
        sip: { server: 'embedded', connections: [{ connected: true }] },
        ports: { rtp: { first: 20_000, last: 29_999, used: 10 } },
        warnings: [{ code: 'NO_TLS', message: 'It is so.', advice: 'Do this.' }],
      },
    });
  });

  it('shows other accounts their own share, and nothing of the rest', async () => {
    const headers = { authorization: basic(OTHER_ACCOUNT) };
    const url = `${gateway.url}/v1/accounts/${OTHER_ACCOUNT.id}/gateway`;
    const report = await json(fetch(url, { headers }));
    expect(Object.keys(report).sort()).toEqual(['own', 'version']);
    expect(report['own']).toEqual({
      devices: { browser: 2, phone: 1 },
      maxDevices: 55,
      webhooks: { waiting: 3, failing: 1 },
      eventReaders: 0,
      maxEventReaders: 32,
    });
  });
});
