export { type Claim, openPostgres } from './engine.js';
export { type PostgresTarget, postgresTarget } from './target.js';
