export { csvLine, usageCsv } from './records.js';
export type { ConnectionFilter, ConnectionQuery, UsageConnection } from './connections.js';
export type { UsageFilter, UsageRecord, UsageReport, UsageTotal } from './records.js';
export { createUsage, type Usage } from './usage.js';
export type { ListedFailure } from './report.js';
export type { FoundRecords, KeptRecord, UsageStore, WrittenRecord } from './usage-store.js';
export type { Webhook } from './webhooks/webhook.js';
export { TargetGuard } from './webhooks/target-guard.js';
