export { type ApiOptions, createApi } from './api.js';
export type { Account } from './authentication.js';
export type { Readiness } from './health.js';
export type { RateLimit } from './rate-limit.js';
export type { UsageReports } from './routes/index.js';
