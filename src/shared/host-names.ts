import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { asAddress } from './networks.js';

/** How long the contents of the system's files are kept. */
const FILES_AGE_MS = 5_000;
/** Timeout of the first query to a name server. The second waits twice as long, and is the last. */
const QUERY_MS = 1_500;
const QUERIES = 2;
/** Errors that say that a name does not exist; after other errors it may. */
const NOT_THERE = ['ENOTFOUND', 'ENODATA'];

interface HostNamesOptions {
  readonly hostsFile?: string;
  readonly resolverFile?: string;
  /** Name servers, as `address:port`. Default: the system's. */
  readonly servers?: readonly string[];
}

interface Files {
  readonly hosts: ReadonlyMap<string, readonly LookupAddress[]>;
  /** Domains in which a name is looked for. */
  readonly search: readonly string[];
  /** A name with so many dots is first tried as it is. */
  readonly dots: number;
}

/**
 * Finds the addresses of host names that strangers and tenants supply. The system's `getaddrinfo` blocks a thread until
 * a name server answers, and the process has only two threads for it: two slow names of one tenant would delay everybody
 * else's. Here a slow name costs only a timer. Uses /etc/hosts, and `search` and `ndots` of /etc/resolv.conf, but no
 * other sources of nsswitch.conf.
 */
export class HostNames {
  readonly #options: HostNamesOptions;
  readonly #underWay = new Map<string, Promise<readonly LookupAddress[]>>();
  #resolver: Resolver | undefined;
  #resolverText = '';
  #files: Files = { hosts: new Map(), search: [], dots: 1 };
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(options: HostNamesOptions = {}) {
    this.#options = options;
  }

  /** Number of names that are being looked up. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /**
   * All addresses of a name; at least one.
   * @throws Error with a code of `node:dns`
   */
  find(name: string): Promise<readonly LookupAddress[]> {
    const key = name.toLowerCase();
    const known = this.#underWay.get(key);
    if (known) return known;
    const finding = this.#find(key).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, finding);
    return finding;
  }

  async #find(name: string): Promise<readonly LookupAddress[]> {
    const { hosts, search, dots } = await this.#current();
    const isWhole = name.endsWith('.');
    const bare = isWhole ? name.slice(0, -1) : name;
    // RFC 6761 section 6.3.
    if (/(?:^|\.)localhost$/.test(bare)) return LOOPBACK;
    const listed = hosts.get(bare);
    if (listed) return listed;
    const inDomains = isWhole ? [] : search.map((domain) => `${bare}.${domain}`);
    const asItIs = bare.split('.').length > dots;
    return this.#firstOf(asItIs ? [bare, ...inDomains] : [...inDomains, bare]);
  }

  async #firstOf(names: readonly string[]): Promise<readonly LookupAddress[]> {
    const [first = '', ...others] = names;
    try {
      return await this.#ask(first);
    } catch (error) {
      if (others.length === 0 || !NOT_THERE.includes(codeOf(error))) throw error;
    }
    return this.#firstOf(others);
  }

  async #ask(name: string): Promise<readonly LookupAddress[]> {
    const resolver = this.#resolver!;
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = answers.map((answer, i) =>
      answer.status === 'fulfilled'
        ? answer.value.map((address) => ({ address, family: i === 0 ? 4 : 6 }))
        : [],
    );
    const all = hasOnlyIpv6() ? found.reverse().flat() : found.flat();
    if (all.length > 0) return all;
    const reasons = answers.flatMap((answer) =>
      answer.status === 'rejected' ? [answer.reason as Error] : [],
    );
    throw (
      reasons.find((reason) => !NOT_THERE.includes(codeOf(reason))) ??
      reasons[0] ??
      new Error(`${name} has no address.`)
    );
  }

  async #current(): Promise<Files> {
    const now = performance.now();
    if (now - this.#readAt < FILES_AGE_MS) return this.#files;
    const { hostsFile = '/etc/hosts', resolverFile = '/etc/resolv.conf', servers } = this.#options;
    const [hosts, text] = await Promise.all([textOf(hostsFile), textOf(resolverFile)]);
    if (!this.#resolver || text !== this.#resolverText) {
      this.#resolver = new Resolver({ timeout: QUERY_MS, tries: QUERIES });
      if (servers) this.#resolver.setServers(servers);
      this.#resolverText = text;
    }
    this.#files = { hosts: hostsIn(hosts), ...rulesIn(text) };
    this.#readAt = now;
    return this.#files;
  }
}

/** The instance for the whole process. */
export const hostNames = new HostNames();

const LOOPBACK: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** A file's text; empty if there is no such file. */
async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return '';
  }
}

function linesOf(text: string): string[][] {
  return text.split('\n').map((line) => line.split(/[#;]/, 1)[0]!.trim().split(/\s+/));
}

function hostsIn(text: string): ReadonlyMap<string, readonly LookupAddress[]> {
  const hosts = new Map<string, LookupAddress[]>();
  for (const [written = '', ...names] of linesOf(text)) {
    const address = asAddress(written);
    if (address === undefined) continue;
    for (const name of names.map((one) => one.toLowerCase())) {
      const found = hosts.get(name) ?? [];
      found.push({ address, family: address.includes(':') ? 6 : 4 });
      hosts.set(name, found);
    }
  }
  return hosts;
}

function rulesIn(text: string): Pick<Files, 'search' | 'dots'> {
  let search: string[] = [];
  let dots = 1;
  for (const [word, ...rest] of linesOf(text)) {
    if (word === 'search' || word === 'domain') search = rest.filter((domain) => domain !== '.');
    if (word !== 'options') continue;
    const given = rest.find((option) => option.startsWith('ndots:'));
    if (given !== undefined) dots = Number(given.slice('ndots:'.length)) || 0;
  }
  return { search: search.map((domain) => domain.replace(/\.$/, '')), dots };
}

function hasOnlyIpv6(): boolean {
  const outside = Object.values(networkInterfaces()).flatMap((all = []) =>
    all.filter(({ internal }) => !internal),
  );
  return outside.length > 0 && outside.every(({ family }) => family === 'IPv6');
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
