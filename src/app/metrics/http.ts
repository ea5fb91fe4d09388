import { Histogram, type Registry } from 'prom-client';
import type { OnAnswered } from '../../api/index.js';

/** Measures how long HTTP requests take. */
export function measureRequests(metrics: Registry): OnAnswered {
  const histogram = new Histogram({
    name: 'patchbay_http_request_seconds',
    help: 'Time to answer HTTP requests',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [metrics],
  });
  return ({ method }, { statusCode: status }, { route = 'unknown', ms }) =>
    histogram.observe({ method, route, status }, ms / 1000);
}
