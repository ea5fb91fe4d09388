import { connectFreeswitch, type ConnectionOptions, type FreeswitchConnection } from './connection.js';

const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 10_000;
const PING_EVERY_MS = 5000;
/** How long a FreeSWITCH that refused a call gets no calls; each further refusal doubles the time. */
const FIRST_REST_MS = 1000;
const LAST_REST_MS = 30_000;
/** After that time, one call tries it, for so long at most; it gets no others meanwhile. */
const TRIAL_MS = 6000;
/** Each call needs two legs. */
const CHANNELS_PER_CALL = 2;

/** The state of a FreeSWITCH. */
export interface ServerStatus {
  /** `host:port` of its event socket. */
  readonly address: string;
  readonly healthy: boolean;
  /** Whether it can take a call now: it is healthy, has room, and has not just refused one. */
  readonly available: boolean;
  /** Channels in use, including those of others, as a share of its limit: 0 to 1. */
  readonly load: number;
  /** How often its connection was lost. */
  readonly losses: number;
  /** Calls that it refused or failed to carry. */
  readonly refusals: number;
}

interface FreeswitchServerOptions extends Omit<ConnectionOptions, 'onLost'> {
  /** It is down, and its legs are lost. */
  readonly onDown: (server: FreeswitchServer) => void;
  /** For tests. */
  readonly connect?: typeof connectFreeswitch;
  /** Channels of the gateway before that are gone on with. */
  readonly spared: () => ReadonlySet<string>;
}

/** One FreeSWITCH of the pool. Keeps a connection to it and pings it; reconnects with growing pauses. */
export class FreeswitchServer {
  readonly address: string;
  readonly #options: FreeswitchServerOptions;
  #connection: FreeswitchConnection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = FIRST_DELAY_MS;
  #lastTrouble: string | undefined;
  #losses = 0;
  #stopped = false;
  /** As of the last ping. */
  #channels = 0;
  #maxChannels = 0;
  /** Channels opened since the last ping. */
  #opened = 0;
  #refusals = 0;
  /** It gets no calls until then, by `performance.now()`. */
  #restsUntil = 0;
  /** Length of the last such rest; 0 when the last call went well. */
  #restMs = 0;
  /** One call is trying it after a rest. */
  #onTrial = false;

  constructor(options: FreeswitchServerOptions) {
    this.address = `${options.host}:${options.port}`;
    this.#options = { ...options, log: options.log.child({ freeswitch: this.address }) };
  }

  /** Absent while it is down. */
  get connection(): FreeswitchConnection | undefined {
    return this.#connection;
  }

  status(): ServerStatus {
    const channels = this.#channels + this.#opened;
    const healthy = this.#connection !== undefined;
    const full = this.#maxChannels > 0 && channels + CHANNELS_PER_CALL > this.#maxChannels;
    return {
      address: this.address,
      healthy,
      available: healthy && !full && performance.now() >= this.#restsUntil,
      load: this.#maxChannels === 0 ? 0 : channels / this.#maxChannels,
      losses: this.#losses,
      refusals: this.#refusals,
    };
  }

  /** Adds a call's two legs to the load, before FreeSWITCH reports them. */
  reserve(): void {
    this.#opened += CHANNELS_PER_CALL;
    if (this.#restMs === 0) return;
    this.#onTrial = true;
    this.#restsUntil = performance.now() + TRIAL_MS;
  }

  /** It carries a call. */
  accepted(): void {
    this.#onTrial = false;
    this.#restMs = 0;
    this.#restsUntil = 0;
  }

  /** It refused a call or failed to carry it: it gets no calls for a while. */
  refused(error: unknown): void {
    this.#refusals += 1;
    // Refusals of calls that were under way at the first refusal do not count.
    if (!this.#onTrial && performance.now() < this.#restsUntil) return;
    this.#onTrial = false;
    this.#restMs = Math.min(Math.max(this.#restMs * 2, FIRST_REST_MS), LAST_REST_MS);
    this.#restsUntil = performance.now() + this.#restMs;
    const { address: freeswitch } = this;
    this.#options.log.warn(
      { err: error, freeswitch, forMs: this.#restMs },
      'FreeSWITCH refuses calls: it is passed over.',
    );
  }

  /** Connects, and retries until it works. Resolves after the first attempt, whether it worked or not. */
  async start(): Promise<void> {
    await this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = undefined;
  }

  /** Checks at once whether it still answers. If not, `down` follows. */
  async check(): Promise<boolean> {
    const connection = this.#connection;
    if (!connection) return false;
    try {
      const status = parseStatus(await connection.api('status'));
      this.#channels = status.channels;
      this.#maxChannels = status.maxChannels;
      this.#opened = 0;
      return true;
    } catch (error) {
      if (this.#connection === connection) this.#lost(String(error));
      return false;
    }
  }

  async #connect(): Promise<void> {
    const { connect = connectFreeswitch } = this.#options;
    try {
      const connection = await connect({
        ...this.#options,
        onLost: (lost) => {
          if (this.#connection === lost) this.#lost('The connection was closed.');
        },
      });
      await this.#adopt(connection);
    } catch (error) {
      this.#complain(error);
      this.#retry();
    }
  }

  async #adopt(connection: FreeswitchConnection): Promise<void> {
    if (this.#stopped) {
      connection.close();
      return;
    }
    await connection.hangUpLeftovers(this.#options.spared());
    this.accepted();
    this.#connection = connection;
    if (!(await this.check())) return;
    this.#delayMs = FIRST_DELAY_MS;
    this.#lastTrouble = undefined;
    this.#options.log.info('FreeSWITCH is up.');
    this.#schedulePing();
  }

  #lost(why: string): void {
    this.#connection?.close();
    this.#connection = undefined;
    this.#losses += 1;
    if (this.#stopped) return;
    this.#options.log.warn({ why }, 'FreeSWITCH is down.');
    this.#options.onDown(this);
    this.#retry();
  }

  #schedulePing(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      void this.check().then((alive) => {
        if (alive && !this.#stopped) this.#schedulePing();
      });
    }, PING_EVERY_MS);
  }

  #retry(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, LAST_DELAY_MS);
  }

  /** Logs each kind of trouble once, not at each attempt. */
  #complain(error: unknown): void {
    const trouble = error instanceof Error ? error.message : String(error);
    if (trouble === this.#lastTrouble || this.#stopped) return;
    this.#lastTrouble = trouble;
    this.#options.log.warn({ trouble }, 'cannot reach FreeSWITCH; retrying');
  }
}

/** The load that a FreeSWITCH reports. */
interface ChannelCount {
  readonly channels: number;
  /** 0: unknown. */
  readonly maxChannels: number;
}

/** Reads the reply to the command `status`, which calls channels sessions. */
export function parseStatus(reply: string): ChannelCount {
  const channels = /^(\d+) session\(s\) - peak/m.exec(reply)?.[1];
  const maxChannels = /^(\d+) session\(s\) max/m.exec(reply)?.[1];
  if (channels === undefined) throw new Error(`Not a status of FreeSWITCH: ${reply.slice(0, 200)}`);
  return { channels: Number(channels), maxChannels: Number(maxChannels ?? 0) };
}
