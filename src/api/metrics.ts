import { Histogram, type Registry } from 'prom-client';
import type { Api } from './instance.js';

/** Measures how long requests take. */
export function measureRequests(api: Api, registry: Registry): void {
  const seconds = new Histogram({
    name: 'patchbay_http_request_seconds',
    help: 'Time to answer HTTP requests',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry],
  });
  api.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
    done();
  });
}

/** Serves what all parts of the gateway registered. */
export function serveMetrics(api: Api, registry: Registry): void {
  api.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return registry.metrics();
  });
}
