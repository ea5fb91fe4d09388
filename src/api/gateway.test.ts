import { afterEach, describe, expect, it } from 'vitest';
import { startApi, type TestGateway } from './testing/gateway.js';

let gateway: TestGateway | undefined;
afterEach(() => gateway?.stop());

describe('the gateway', () => {
  it('answers health checks, and says when it is ready', async () => {
    let readiness: 'starting' | 'ready' | 'draining' = 'starting';
    const { url } = (gateway = await startApi({ readiness: () => readiness }));
    const ask = async (path: string) => {
      const response = await fetch(url + path);
      return [response.status, await response.json()];
    };
    expect(await ask('/healthz')).toEqual([200, { status: 'alive', version: '1.2.3' }]);
    expect(await ask('/readyz')).toEqual([503, { status: 'starting' }]);
    readiness = 'ready';
    expect(await ask('/readyz')).toEqual([200, { status: 'ready' }]);
    readiness = 'draining';
    expect(await ask('/readyz')).toEqual([503, { status: 'draining' }]);
    expect(await ask('/healthz')).toEqual([200, { status: 'alive', version: '1.2.3' }]);
  });

  it('measures requests by route, not by path', async () => {
    gateway = await startApi();
    await gateway.ask('/sessions/no-such-session');
    await fetch(`${gateway.url}/no-such-route`);
    const response = await fetch(`${gateway.url}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    const metrics = await response.text();
    expect(metrics).toContain(
      'patchbay_http_request_seconds_count{method="GET",route="/v1/accounts/:accountId/sessions/:sessionId",status="404"} 1',
    );
    expect(metrics).toContain('{method="GET",route="unknown",status="404"} 1');
    expect(metrics).not.toContain('no-such');
  });

  it('measures each of many requests', async () => {
    gateway = await startApi();
    for (let asked = 0; asked < 300; asked++) await fetch(`${gateway.url}/healthz`);
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain(
      'patchbay_http_request_seconds_bucket{le="+Inf",method="GET",route="/healthz",status="200"} 300',
    );
  });
});
