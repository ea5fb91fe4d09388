import { EventEmitter } from 'node:events';
import Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import { tameFrame } from './tame-message.js';

/** A dialog of drachtio-srf, as far as it must be told of a new connection. */
interface ConnectedDialog {
  /** drachtio-srf sends by the connection that this came in on; absent: by the one that is up. */
  readonly req: { socket: unknown };
}

/** The part of drachtio-srf that it calls for each dialog that comes and goes. */
interface DialogKeeper {
  addDialog(dialog: ConnectedDialog): void;
  removeDialog(dialog: ConnectedDialog): void;
}

/** The dialogs that a drachtio-srf has, which it does not list itself. */
function dialogsOf(srf: Srf): ReadonlySet<ConnectedDialog> {
  const dialogs = new Set<ConnectedDialog>();
  const keeper = srf as unknown as DialogKeeper;
  const add = keeper.addDialog.bind(keeper);
  const remove = keeper.removeDialog.bind(keeper);
  keeper.addDialog = (dialog) => {
    dialogs.add(dialog);
    add(dialog);
  };
  keeper.removeDialog = (dialog) => {
    dialogs.delete(dialog);
    remove(dialog);
  };
  return dialogs;
}

/** The part of drachtio-srf that gets what the SIP server says. */
interface Listening {
  readonly app: { readonly client: { readonly wp: EventEmitter } };
}

/** Makes what comes harmless before drachtio-srf looks at it. */
function tameMessagesOf(srf: Srf, dropped: (peer: string | undefined) => void): void {
  const { wp } = (srf as unknown as Listening).app.client;
  const readers = wp.listeners('msg') as ((socket: unknown, text: string) => void)[];
  wp.removeAllListeners('msg');
  wp.on('msg', (socket: unknown, text: string) => {
    const tame = tameFrame(text);
    // The peer's address stands sixth in the line before the message.
    if (tame === undefined) dropped(text.split('|', 6)[5]);
    else for (const read of readers) read.call(wp, socket, tame);
  });
}

/** Reconnect back-off: 250 ms, times 1.7 after each attempt, up to this. */
const LAST_DELAY_MS = 5000;
/** drachtio-server drops a client that was silent for too long; and a dead path shows when something is sent. */
const PING_EVERY_MS = 15_000;
const OLDEST_VERSION = [0, 8];

interface SipClientOptions {
  /** The admin port of drachtio-server or of the embedded SIP server. */
  readonly server: { readonly host: string; readonly port: number; readonly secret: string };
  /** How long calls are kept while the connection is away, in ms. Default 30 s. */
  readonly graceMs?: number;
  readonly log: Logger;
}

/** The tag of this application among those of a SIP server. */
export const APP_TAG = 'patchbay';

interface SipClientEvents {
  /** The connection is away. What was asked of the SIP server is never answered. */
  away: [];
  /** The connection is away for longer than the grace time. */
  lost: [];
  /** The connection is back, in time or not. Requests of calls from before are not brought to us any more. */
  back: [];
}

/**
 * The connection of drachtio-srf to one SIP server: made, watched, and made again for as long as it takes. Calls
 * outlive a short absence: the server keeps their dialogs, and takes our requests in them over the new connection.
 */
export class SipClient extends EventEmitter<SipClientEvents> {
  /** The application object, for as long as this client lives. */
  readonly srf = new Srf([APP_TAG]);
  readonly #dialogs = dialogsOf(this.srf);
  readonly #options: SipClientOptions;
  readonly #log: Logger;
  #state: 'starting' | 'up' | 'away' | 'lost' | 'stopped' = 'starting';
  #grace: NodeJS.Timeout | undefined;
  #lastTrouble: string | undefined;
  #addresses = '';

  constructor(options: SipClientOptions) {
    super();
    this.#options = options;
    const { host, port } = options.server;
    this.#log = options.log.child({ sipServer: `${host}:${port}` });
    this.srf.addListener('connect', (error: Error | null, addresses: string, version?: string) => {
      if (error)
        this.#complain(
          `The secret is wrong: PATCHBAY_DRACHTIO must have the one of drachtio.conf.xml (${error.message}).`,
        );
      else this.#connected(addresses, version ?? '');
    });
    this.srf.on('error', (error) => this.#complain(error.message));
    this.srf.addListener('close', () => this.#disconnected());
  }

  /** Whether the SIP server can be reached now. */
  get connected(): boolean {
    return this.#state === 'up';
  }

  /** Whether the SIP server can be reached; while it is away, waits until it is back or lost. */
  async reachable(): Promise<boolean> {
    if (this.#state === 'away') {
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          this.off('back', settle).off('lost', settle);
          resolve();
        };
        this.on('back', settle).on('lost', settle);
      });
    }
    return this.connected;
  }

  /** Where the SIP server receives calls over UDP; absent until it could be reached. */
  get sipAddress(): { readonly host: string; readonly port: number } | undefined {
    const [, host, port] = /(?:^|,)udp\/([^,]+):(\d+)/.exec(this.#addresses) ?? [];
    return host === undefined ? undefined : { host, port: Number(port) };
  }

  /**
   * Connects, and goes on trying. Handlers of requests must be registered before.
   * @returns whether it worked within `waitMs`
   */
  async connect(waitMs: number): Promise<boolean> {
    const config = {
      ...this.#options.server,
      enablePing: true,
      pingInterval: PING_EVERY_MS,
      reconnect: { retryMaxDelay: LAST_DELAY_MS },
    };
    const up = new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), waitMs);
      this.srf.addListener('connect', (error: Error | null) => {
        if (error) return;
        clearTimeout(timer);
        resolve(true);
      });
    });
    const connecting = this.srf.connect(config);
    // Before the connection is there, and so before its first message.
    tameMessagesOf(this.srf, (peer) =>
      this.#log.warn({ peer }, 'A SIP message that cannot be read is dropped.'),
    );
    await connecting;
    return up;
  }

  stop(): void {
    const { connected } = this;
    this.#state = 'stopped';
    clearTimeout(this.#grace);
    this.removeAllListeners();
    // Without a connection, drachtio-srf has nothing to close; one that comes later is closed then.
    if (connected) this.srf.disconnect();
  }

  #connected(addresses: string, version: string): void {
    const before = this.#state;
    if (before === 'stopped') {
      this.srf.disconnect();
      return;
    }
    this.#state = 'up';
    this.#lastTrouble = undefined;
    this.#addresses = addresses;
    clearTimeout(this.#grace);
    this.#log.info({ addresses, version }, 'Connected to the SIP server.');
    if (isOlder(version))
      this.#log.warn({ version }, 'This drachtio-server is older than 0.8: expect trouble.');
    if (before !== 'starting') this.emit('back');
  }

  #disconnected(): void {
    // The dialogs are to use the next connection.
    for (const dialog of this.#dialogs) dialog.req.socket = undefined;
    if (this.#state !== 'up') return;
    this.#state = 'away';
    const graceMs = this.#options.graceMs ?? 30_000;
    this.#log.warn({ graceMs }, 'The connection to the SIP server is away; calls go on for the time being.');
    this.#grace = setTimeout(() => {
      this.#state = 'lost';
      this.#log.error('The connection to the SIP server did not come back in time: its calls end.');
      this.emit('lost');
    }, graceMs);
    this.emit('away');
  }

  /** Once for each kind of trouble, not for each try. */
  #complain(trouble: string): void {
    if (trouble === this.#lastTrouble || this.#state === 'stopped') return;
    this.#lastTrouble = trouble;
    this.#log.warn({ trouble }, 'cannot reach the SIP server; retrying');
  }
}

/** The embedded server and development builds have versions of their own making: those pass. */
function isOlder(version: string): boolean {
  const [major, minor] = /^v?(\d+)\.(\d+)\./.exec(version)?.slice(1).map(Number) ?? [];
  if (major === undefined || minor === undefined) return false;
  return major < OLDEST_VERSION[0]! || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1]!);
}
