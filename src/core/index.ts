export type { CoreStore, StoredResumePoint, StoredState } from './core-store.js';
export type {
  ConnectedDevice,
  Core,
  CoreCounts,
  CoreEvents,
  DeviceEvent,
  DeviceGate,
  ListOptions,
  NewParticipant,
  Page,
  SessionControl,
} from './core.js';
export { deliveries, type Member } from './deliveries.js';
export { type ErrorCode, PatchbayError } from './errors.js';
export { DEFAULT_LIMITS, type Limits } from './rules.js';
export { participantBytes, resumePointBytes, sessionBytes } from './memory.js';
export { MemoryStore } from './memory-store.js';
export { mayResume } from './resume-points.js';
export { type CoreOptions, createCore } from './session-core.js';
export type * from './types.js';
export type { EndReason } from './types.js';
export type { Connection, Delivery, Device, DeviceInfo, Participant } from './types.js';
