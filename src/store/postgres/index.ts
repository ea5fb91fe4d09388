export { type Claim, openPostgres } from './engine.js';
export { Follower } from './follower.js';
export { type PostgresTarget, postgresTarget } from './target.js';
