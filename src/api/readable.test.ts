import { afterEach, describe, expect, it } from 'vitest';
import { clientAddresses } from '../shared/index.js';
import type { Audience } from './index.js';
import { startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway;
afterEach(() => gateway.stop());

const DOCUMENTS = ['/docs', '/docs/', '/docs/static/index.html', '/docs/json', '/openapi.json'];

/** A gateway with a proxy on 127.0.0.1, where these tests connect from. */
async function start(about: { metricsFor?: Audience; docsFor?: Audience; proxies?: readonly string[] }) {
  const { proxies = ['127.0.0.1'], ...options } = about;
  gateway = await startApi({ ...options, clientAddress: clientAddresses(proxies) });
}

/** How GET and HEAD of a path are answered, both alike. */
async function statusOf(path: string, headers: Record<string, string> = {}): Promise<number> {
  const [got, head] = await Promise.all(
    ['GET', 'HEAD'].map((method) => fetch(gateway.url + path, { method, headers })),
  );
  expect(head!.status).toBe(got!.status);
  if (got!.status === 404) {
    expect(await got!.json()).toMatchObject({ reason: 'PATCHBAY_NOT_FOUND', code: 404 });
  }
  return got!.status;
}

const forwardedFor = (address: string) => ({ 'x-forwarded-for': address });

describe('by default', () => {
  it.each(['/metrics', ...DOCUMENTS])('%s is read by direct clients', async (path) => {
    await start({});
    expect(await statusOf(path)).toBe(200);
  });

  it.each(['/metrics', '//metrics/', '/metrics?a=b', ...DOCUMENTS])(
    '%s is not found by a proxy, trusted or not',
    async (path) => {
      for (const proxies of [['127.0.0.1'], []]) {
        await start({ proxies });
        expect(await statusOf(path, forwardedFor('192.0.2.1'))).toBe(404);
        await gateway.stop();
      }
    },
  );

  it.each(['forwarded', 'x-forwarded-proto', 'x-forwarded-host', 'x-real-ip'])(
    'the header %s shows that a proxy passed the request on',
    async (name) => {
      await start({ proxies: [] });
      expect(await statusOf('/metrics', { [name]: 'for=192.0.2.1' })).toBe(404);
      expect(await statusOf('/openapi.json', { [name]: '' })).toBe(404);
    },
  );

  it('health checks and REST are reached by a proxy', async () => {
    await start({});
    const headers = forwardedFor('192.0.2.1');
    expect(await statusOf('/healthz', headers)).toBe(200);
    expect(await statusOf('/readyz', headers)).toBe(200);
    expect((await gateway.ask('/sessions', { headers })).status).toBe(200);
  });
});

describe('with addresses and CIDRs', () => {
  const listed = ['192.0.2.0/24', '2001:db8::/32'];

  it('others that connect directly find nothing', async () => {
    await start({ metricsFor: listed, docsFor: listed });
    expect(await statusOf('/metrics')).toBe(404);
    expect(await statusOf('/docs')).toBe(404);
  });

  it.each([
    ['192.0.2.7', 200],
    ['2001:db8::7', 200],
    ['198.51.100.7', 404],
    // Who claims an address of the list is behind the address that the proxy saw.
    ['192.0.2.7, 198.51.100.7', 404],
    ['unknown', 404],
  ])('a client behind a trusted proxy counts by its address: %s', async (address, status) => {
    await start({ metricsFor: listed, docsFor: listed });
    expect(await statusOf('/metrics', forwardedFor(address))).toBe(status);
    expect(await statusOf('/openapi.json', forwardedFor(address))).toBe(status);
  });

  it("a proxy's own address opens nothing to its clients", async () => {
    const own = { metricsFor: ['127.0.0.1'], docsFor: ['127.0.0.1'] };
    await start({ ...own, proxies: [] });
    expect(await statusOf('/metrics')).toBe(200);
    // Not trusted, so that all its clients have its address.
    expect(await statusOf('/metrics', forwardedFor('192.0.2.1'))).toBe(404);
    await gateway.stop();
    await start(own);
    // Two headers that disagree: neither counts, and the address is the proxy's.
    const both = { ...forwardedFor('192.0.2.1'), forwarded: 'for=198.51.100.1' };
    expect(await statusOf('/metrics', both)).toBe(404);
    expect(await statusOf('/docs', both)).toBe(404);
  });
});

it.each([
  ['everyone', 200, 200],
  ['nobody', 404, 404],
  ['direct', 200, 404],
] as const)('for %s: %i directly, %i by a proxy', async (audience, directly, byProxy) => {
  await start({ docsFor: audience, metricsFor: audience });
  for (const path of ['/metrics', ...DOCUMENTS]) {
    expect(await statusOf(path)).toBe(directly);
    expect(await statusOf(path, forwardedFor('192.0.2.1'))).toBe(byProxy);
  }
});
