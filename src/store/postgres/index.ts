export { type Claim, openPostgres } from './engine.js';
export { Follower } from './follower.js';
export { Lease, LeaseTakenError } from './lease.js';
export { openToReceive, type Receiver } from './receive.js';
export { readSecrets } from './secrets.js';
export { type PostgresTarget, postgresTarget } from './target.js';
