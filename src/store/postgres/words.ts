import { StoreError } from '../engine.js';
import { nameOf, type PostgresTarget } from './target.js';

/** Says why the database cannot be used, and what to do. Nothing of it holds the password. */
export function inWords(error: unknown, target: PostgresTarget): Error {
  if (error instanceof StoreError || !(error instanceof Error)) return error as Error;
  return new StoreError(`PATCHBAY_STORE: ${trouble(error, target)}`, { cause: error });
}

function trouble(error: Error, target: PostgresTarget): string {
  const { host, port, user, database, tls } = target;
  const where = `PostgreSQL at ${nameOf(target)}`;
  const code = 'code' in error ? String(error.code) : error.name;
  switch (code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${host}, port ${port}: start PostgreSQL there, or set another address.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `no address is found for the name ${host}: set an address, or look at the name server.`;
    case 'ENOENT':
    case 'EACCES':
      return `${error.message}: look at the path of the socket or of sslrootcert, and at its owner and mode.`;
    case 'TooSlowError':
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `${where} does not answer (${error.message}): look at the server, and at firewalls on the way.`;
    case '28P01':
      return `${where} refuses the password of the user ${user}.`;
    case '28000':
      return `${where} does not let the user ${user} in (${error.message}): look at its pg_hba.conf, and whether there is such a user.`;
    case '3D000':
      return `there is no database ${database} at ${host}, port ${port}: make it (createdb --owner=${user} ${database}).`;
    case '42501':
      return `the user ${user} may not do this in the database ${database}: ${error.message}. Let it make the schema (GRANT CREATE ON DATABASE "${database}" TO "${user}"), or make one that it owns (CREATE SCHEMA patchbay AUTHORIZATION "${user}").`;
    case '53300':
      return `${where} has no connection left (max_connections): the gateway needs up to five.`;
    case '57P03':
      return `${where} is starting or stopping: ${error.message}.`;
    case '25006':
      return `${where} takes no writes: it is a standby, or read-only. Set the address of the primary.`;
    default:
      if (/password/i.test(error.message))
        return `${where} wants a password of the user ${user}, and there is none.`;
      if (tls !== 'disable') return `${where} cannot be used with sslmode=${tls}: ${error.message}.`;
      return `${where} cannot be used: ${error.message}.`;
  }
}
