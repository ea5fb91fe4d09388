export { StoreError } from './engine.js';
export { type Moved, moveToPostgres } from './move.js';
export { backup, restore } from './libsql/index.js';
export { Follower, postgresTarget } from './postgres/index.js';
export { openStore, type Store } from './store.js';
