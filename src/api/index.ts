export type { Account, Audience } from './authentication.js';
export type { OnAnswered } from './answered.js';
export { type ApiOptions, createApi } from './api.js';
export { createFront } from './front.js';
export type { Readiness } from './health.js';
export type { GatewayReports } from './routes/index.js';
