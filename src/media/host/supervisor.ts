import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../shared/index.js';
import { HostFolder } from './folder.js';
import { HostLink, HostRefusal, SilentHost } from './link.js';
import { endOf, kill, processOf, waitedForProcessorMs } from './processes.js';
import { type HostOptions, PROTOCOL } from './messages.js';

const MAX_PORT = 65_535;
const CHECK_MS = 500;
/** A host without a sign of life for this long is killed, unless it only waited for a processor. */
const SILENT_MS = 5_000;
/** If the gateway's own timers are later than this, it does not judge hosts: the machine stood still. */
const OWN_DELAY_MS = 1_000;
/** How long a new host may take to listen. */
const START_MS = 20_000;
const START_POLL_MS = 25;
/** Waits between attempts to start a host that could not start. */
const RETRY_MS = [100, 1_000, 5_000, 15_000];

export interface HostsOptions {
  readonly dataDir: string;
  /** How many hosts; fewer when ports for browsers are taken. */
  readonly hosts: number;
  /** The program of a host, to be run by Node. */
  readonly program: string;
  readonly version: string;
  /** How long hosts go on without a gateway, in ms. */
  readonly handoverMs: number;
  readonly media: Omit<HostOptions, 'webrtcPorts'>;
  /**
   * The UDP port for browsers of the first host; the others have the following. 0: the system chooses each.
   */
  readonly webrtcPort: number;
  /** The address of this machine at which hosts take streams of other gateways' hosts; absent: they take none. */
  readonly pipeHost?: string | undefined;
  /** How long a host may take to answer a hello, in ms; default 10,000. */
  readonly welcomeMs?: number;
  /** A newer gateway of the data folder has taken the hosts: this one must end, and leave their devices alone. */
  readonly onSuperseded: () => void;
}

interface SupervisorHandlers {
  /** A host is ready for devices. */
  onHost(link: HostLink): void;
  /** A host died or was killed. */
  onLost(link: HostLink): void;
  readonly log: Log;
}

/** Finds the hosts that an earlier gateway left, starts those that are missing, and replaces those that die or hang. */
export class Supervisor {
  readonly #options: HostsOptions;
  readonly #handlers: SupervisorHandlers;
  readonly #links = new Map<string, HostLink>();
  readonly #log: Log;
  #folder: HostFolder | undefined;
  #epoch = 0;
  #wanted: number;
  #starting = 0;
  #failures = 0;
  #checkedAt = performance.now();
  #onTimeSince = performance.now();
  /** How long each host had waited for a processor when it was heard last. */
  readonly #waitedMs = new WeakMap<HostLink, number>();
  /** Hosts that are being greeted, and those that refused. */
  readonly #greeted = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(options: HostsOptions, handlers: SupervisorHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#log = handlers.log;
    this.#wanted = options.hosts;
  }

  get links(): readonly HostLink[] {
    return [...this.#links.values()];
  }

  /**
   * Resolves when all hosts are there. To be called with the data folder locked.
   * @throws Error by rejection when no host could be started
   */
  async start(): Promise<void> {
    const folder = await HostFolder.open(this.#options.dataDir);
    this.#folder = folder;
    this.#epoch = await folder.nextEpoch();
    const left = await folder.ids();
    await Promise.all(left.map((id) => this.#adopt(folder, id)));
    const missing = this.#missing();
    const started = await Promise.allSettled(Array.from({ length: missing }, () => this.#startHost(folder)));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed && this.links.every(({ isRetired }) => isRetired)) throw failed.reason as Error;
    this.#timer = setInterval(() => this.#check(folder), CHECK_MS);
  }

  /** Ends all hosts. Resolves when their processes are gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    await Promise.all(
      this.links.map(async (link) => {
        link.request('stop', {}).catch(() => undefined);
        await (link.pid === undefined ? link.closed : endOf(link.pid));
      }),
    );
  }

  /** Ends a host that is not needed any more. */
  end(link: HostLink): void {
    this.#links.delete(link.id);
    // The answer may be lost with the host.
    link.request('stop', {}).catch(() => undefined);
    this.#log.info(
      { host: link.id, hostPid: link.pid },
      'A media host of another version has served its last call.',
    );
  }

  /** Greets a host of an earlier gateway. Removes what is left of one that is dead. */
  async #adopt(folder: HostFolder, id: string): Promise<void> {
    if (this.#links.has(id) || this.#greeted.has(id)) return;
    this.#greeted.add(id);
    try {
      this.#add(await this.#greetPatiently(folder, id));
      this.#greeted.delete(id);
    } catch (error) {
      if (error instanceof SilentHost) await this.#killSilent(folder, id);
      else if (isDead(error)) await folder.forget(id);
      // It ends on its own when its time without a gateway is over.
      else this.#log.warn({ host: id, err: error }, 'A media host of an earlier gateway cannot be used.');
    }
  }

  /** @throws SilentHost when it hangs: the time in which it only waited for a processor does not count */
  async #greetPatiently(folder: HostFolder, id: string): Promise<HostLink> {
    for (;;) {
      const [startedAt, waitedMs] = [performance.now(), waitedMsOf(processOf(id))];
      try {
        return await this.#greet(folder, id);
      } catch (error) {
        const starvedMs = waitedMsOf(processOf(id)) - waitedMs;
        if (!(error instanceof SilentHost) || starvedMs < (performance.now() - startedAt) / 2) throw error;
      }
    }
  }

  /** A host of an earlier gateway hangs. Its ports have to be free before its phones are restored from the store. */
  async #killSilent(folder: HostFolder, id: string): Promise<void> {
    const pid = processOf(id);
    if (pid === undefined) {
      this.#log.error(
        { host: id },
        'A media host of an earlier gateway hangs, and its process is not to be seen.',
      );
      return;
    }
    this.#log.error({ host: id, hostPid: pid }, 'A media host of an earlier gateway hangs and is killed.');
    kill(pid);
    await endOf(pid);
    await folder.forget(id);
  }

  #greet(folder: HostFolder, id: string): Promise<HostLink> {
    const { version, handoverMs, media, pipeHost } = this.#options;
    const options = { ...media, webrtcPorts: this.#webrtcPorts() };
    const hello = {
      protocol: PROTOCOL,
      version,
      epoch: this.#epoch,
      secret: folder.secret,
      options,
      handoverMs,
      pipeHost,
    };
    return HostLink.open(id, folder.socketOf(id), hello, this.#options.welcomeMs);
  }

  /** A port for each host, and as many more as hosts of another version still have. */
  #webrtcPorts(): number[] {
    const { webrtcPort: first, hosts } = this.#options;
    if (first === 0) return [0];
    const retired = this.links.filter(({ isRetired }) => isRetired).length;
    return Array.from({ length: hosts + retired }, (_, at) => first + at).filter((port) => port <= MAX_PORT);
  }

  #missing(): number {
    const present = this.links.filter(({ isRetired }) => !isRetired).length;
    return Math.max(0, this.#wanted - present - this.#starting);
  }

  /** @throws Error when it does not start */
  async #startHost(folder: HostFolder): Promise<void> {
    this.#starting += 1;
    const id = HostFolder.newId();
    this.#greeted.add(id);
    const { program, dataDir } = this.#options;
    // In a session of its own, so that signals to the gateway's process group do not reach it. It has no output: the
    // pipes for that would break when the gateway dies.
    const child = spawn(process.execPath, [...process.execArgv, program, dataDir, id], {
      detached: true,
      stdio: 'ignore',
      env: hostEnvironment(process.env),
    });
    let isGone = false;
    child.on('exit', () => (isGone = true));
    child.on('error', () => (isGone = true));
    child.unref();
    try {
      const link = await this.#reach(folder, id, () => isGone);
      this.#failures = 0;
      this.#add(link);
    } catch (error) {
      child.kill('SIGKILL');
      await folder.forget(id);
      if (error instanceof HostRefusal && error.reason === 'port') {
        this.#wanted -= 1;
        this.#log.warn(
          { hosts: this.#wanted },
          'A media host finds no free UDP port for browsers (PATCHBAY_WEBRTC_PORT and the following): there are fewer hosts.',
        );
      }
      throw error;
    } finally {
      this.#starting -= 1;
      this.#greeted.delete(id);
    }
  }

  /** Connects to a host as soon as it listens. */
  async #reach(folder: HostFolder, id: string, isGone: () => boolean): Promise<HostLink> {
    const until = performance.now() + START_MS;
    for (;;) {
      try {
        return await this.#greet(folder, id);
      } catch (error) {
        if (isGone() || this.#stopping || !isDead(error) || performance.now() > until) throw error;
      }
      await pause(START_POLL_MS);
    }
  }

  #add(link: HostLink): void {
    if (this.#stopping) {
      link.request('stop', {}).catch(() => undefined);
      return;
    }
    this.#links.set(link.id, link);
    const { id, pid, isRetired, carried } = link;
    this.#log.info({ host: id, hostPid: pid, isRetired, devices: carried.length }, 'Media host ready.');
    this.#handlers.onHost(link);
  }

  /** The plane has noticed that the connection to a host is gone. */
  lost(link: HostLink): void {
    if (this.#links.get(link.id) !== link) return;
    this.#links.delete(link.id);
    if (this.#stopping) return;
    if (link.isSuperseded) {
      this.#options.onSuperseded();
      return;
    }
    // It may still have sockets and ports, if only its connection was cut.
    if (link.pid !== undefined) kill(link.pid);
    this.#handlers.onLost(link);
    if (this.#folder) {
      void this.#folder.forget(link.id).catch(() => undefined);
      this.#replace(this.#folder);
    }
  }

  #replace(folder: HostFolder): void {
    if (this.#stopping || this.#missing() === 0) return;
    this.#startHost(folder).catch((error: unknown) => {
      this.#log.error({ err: error }, 'A media host could not be started.');
      const waitMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)]!;
      this.#failures += 1;
      setTimeout(() => this.#replace(folder), waitMs).unref();
    });
  }

  /** Kills hosts that hang. The time in which one only waited for a processor does not count. */
  #check(folder: HostFolder): void {
    const now = performance.now();
    if (now - this.#checkedAt > CHECK_MS + OWN_DELAY_MS) this.#onTimeSince = now;
    this.#checkedAt = now;
    for (const link of this.links) {
      const waitedMs = waitedMsOf(link.pid);
      if (now - link.heardAt < 2 * CHECK_MS) {
        this.#waitedMs.set(link, waitedMs);
        continue;
      }
      const starvedMs = waitedMs - (this.#waitedMs.get(link) ?? waitedMs);
      const silentMs = now - Math.max(link.heardAt, this.#onTimeSince);
      if (silentMs - starvedMs < SILENT_MS) continue;
      this.#log.error({ host: link.id, hostPid: link.pid, silentMs }, 'A media host hangs and is killed.');
      if (link.pid !== undefined) kill(link.pid);
      link.destroy();
    }
    this.#takeNew(folder).catch((error: unknown) => {
      this.#log.warn({ err: error }, 'The folder of the media hosts could not be read.');
    });
  }

  /** Takes hosts that were started independently, for example in a container. */
  async #takeNew(folder: HostFolder): Promise<void> {
    if (this.#missing() === 0) return;
    for (const id of await folder.ids()) await this.#adopt(folder, id);
  }
}

function waitedMsOf(pid: number | undefined): number {
  return pid === undefined ? 0 : waitedForProcessorMs(pid);
}

/** Whether an attempt to connect shows that no process listens (yet). */
function isDead(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ECONNREFUSED', 'ENOENT'].includes(String(error.code));
}

/** The gateway's environment without secrets that a host does not need. */
function hostEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('PATCHBAY_')));
}
