export { Edge } from './edge/edge.js';
export { connectLocally } from './local-link.js';
export { Desk } from './leader/desk.js';
export { EdgeDoor } from './remote/edge-door.js';
export { LeaderLine } from './remote/leader-line.js';
