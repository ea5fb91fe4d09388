export { Edge } from './edge/edge.js';
export { connectLocally } from './local-link.js';
export { Desk } from './leader/desk.js';
