export { StoreError } from './engine.js';
export { backup, restore } from './libsql/index.js';
export { Follower, postgresTarget } from './postgres/index.js';
export { openStore, type Store } from './store.js';
