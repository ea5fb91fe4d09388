export { Edge } from './edge/edge.js';
export type { Crossing } from './messages.js';
export { connectLocally } from './local-link.js';
export { Desk } from './leader/desk.js';
export type { CallRecord } from './messages.js';
export type { EdgeCallStore, EdgeRecord, EdgeStore, StoredEdge } from './leader/edge-store.js';
export { EdgeDoor } from './remote/edge-door.js';
export { LeaderLine } from './remote/leader-line.js';
