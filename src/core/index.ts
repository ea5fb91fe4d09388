export { type CoreStore, MemoryStore, type StoredResumePoint, type StoredState } from './core-store.js';
export type {
  AnnouncementReport,
  AskedConnection,
  ConnectedDevice,
  ConnectOptions,
  Core,
  CoreEvents,
  DeviceControl,
  DeviceEvent,
  DeviceGate,
  ListOptions,
  Page,
  SessionControl,
} from './core.js';
export { ERROR_CODES, type ErrorCode, PatchbayError } from './errors.js';
export { participantBytes, resumePointBytes, sessionBytes } from './memory.js';
export { mayResume } from './resume-points.js';
export { DEFAULT_PAGE, MAX_PAGE, pageLimit } from './rules.js';
export { createCore } from './session-core.js';
export { recognizerOf } from './tokens.js';
export type * from './call-trace.js';
export type * from './types.js';
