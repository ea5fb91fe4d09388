export { StoreError } from './engine.js';
export { type Moved, moveToPostgres } from './move.js';
export { backup, restore } from './libsql/index.js';
export {
  Follower,
  Lease,
  LeaseTakenError,
  postgresTarget,
  type PostgresTarget,
  readSecrets,
} from './postgres/index.js';
export { lockDataFolder, openStore, type Store, type StoreOptions } from './store.js';
