/** Where the database is, and who the gateway is there. */
export interface PostgresTarget {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** `require` encrypts, and believes any certificate; `verify-full` checks it. */
  readonly tls: 'disable' | 'require' | 'verify-full';
  /** File of the certificates that are believed; otherwise those of Node.js. */
  readonly caFile: string | undefined;
}

const FORM = 'postgres://user:password@host:port/database';
const DEFAULT_PORT = 5432;
const TLS = ['disable', 'require', 'verify-full'] as const;
const PARAMETERS = ['sslmode', 'sslrootcert', 'host'];

/**
 * Reads the URL of a database. Its errors never repeat the URL, which holds a password.
 * @throws Error that says what is wrong
 */
export function postgresTarget(text: string): PostgresTarget {
  if (!/^postgres(?:ql)?:\/\//.test(text) || !URL.canParse(text)) {
    throw new Error(
      `expected ${FORM}; in a password, characters such as @ : / # ? are written as %40 %3A %2F %23 %3F`,
    );
  }
  const url = new URL(text);
  const parameters = url.searchParams;
  const unknown = [...parameters.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined)
    throw new Error(`does not know the parameter ${unknown}; it knows ${PARAMETERS.join(', ')}`);
  const [user, password, database] = [url.username, url.password, url.pathname.slice(1)].map(decoded);
  if (!user) throw new Error(`expected a user: ${FORM}`);
  if (!database) throw new Error(`expected the name of a database: ${FORM}`);
  const tls = parameters.get('sslmode') ?? 'disable';
  if (!isTls(tls)) throw new Error(`expected sslmode to be one of ${TLS.join(', ')}`);
  return {
    host: parameters.get('host') ?? (url.hostname.replace(/^\[|\]$/g, '') || 'localhost'),
    port: url.port === '' ? DEFAULT_PORT : Number(url.port),
    user,
    password: password === '' ? undefined : password,
    database,
    tls,
    caFile: parameters.get('sslrootcert') ?? undefined,
  };
}

function isTls(text: string): text is (typeof TLS)[number] {
  return TLS.some((known) => known === text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`expected ${FORM}, with % only before two hexadecimal digits (a % itself is %25)`);
  }
}

/** For logs and messages: without the password. */
export function nameOf({ host, port, database }: PostgresTarget): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}/${database}`;
}
