import { Histogram, type Registry } from 'prom-client';
import type { OnAnswered } from './answered.js';
import type { Api } from './instance.js';

/** So many requests are put into the histogram together. */
const BATCH = 256;

interface Timed {
  readonly labels: { readonly method: string; readonly route: string; readonly status: number };
  readonly seconds: number;
}

/** Measures how long requests take. */
export function measureRequests(registry: Registry): OnAnswered {
  let waiting: Timed[] = [];
  // One after the other they take a sixth of what they take with each a request between them.
  const observe = (histogram: Pick<Histogram, 'observe'>): void => {
    for (const { labels, seconds } of waiting) histogram.observe(labels, seconds);
    waiting = [];
  };
  const histogram = new Histogram({
    name: 'patchbay_http_request_seconds',
    help: 'Time to answer HTTP requests',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry],
    collect() {
      observe(this);
    },
  });
  return (request, reply, { route = 'unknown', ms }) => {
    const labels = { method: request.method, route, status: reply.statusCode };
    if (waiting.push({ labels, seconds: ms / 1000 }) === BATCH) observe(histogram);
  };
}

/** Serves what all parts of the gateway registered. */
export function serveMetrics(api: Api, registry: Registry): void {
  api.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return registry.metrics();
  });
}
