export { usageCsv } from './records.js';
export type { RecordEnd, UsageFilter, UsageRecord, UsageReport, UsageTotal } from './records.js';
export { createUsage, type Usage, type UsageOptions, type WebhookOptions } from './usage.js';
export type { FoundRecords, KeptRecord, UsageStore, WrittenRecord } from './usage-store.js';
export type { TargetRules } from './webhooks/target-guard.js';
export type { QueueLimits, WebhookCounts } from './webhooks/webhook-queue.js';
export type { Webhook, WebhookBody, WebhookEvent } from './webhooks/webhook.js';
