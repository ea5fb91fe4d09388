import { EventEmitter } from 'node:events';
import Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import { sanitizeFrame } from './sanitize-message.js';

/** The part of a drachtio-srf dialog that must change when the connection does. */
interface ConnectedDialog {
  /** drachtio-srf sends by the connection of the INVITE; when this is undefined, by the current connection. */
  readonly req: { socket: unknown };
}

/** The methods that drachtio-srf calls on itself when a dialog begins and ends. */
interface DialogKeeper {
  addDialog(dialog: ConnectedDialog): void;
  removeDialog(dialog: ConnectedDialog): void;
}

/** The current dialogs of a drachtio-srf, which has no list of its own. */
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

/** The part of drachtio-srf that receives the SIP server's messages. */
interface Listening {
  readonly app: { readonly client: { readonly wp: EventEmitter } };
}

/** Told of each SIP message that the SIP server passes on, or says that it has sent for us. */
type SeenMessage = (
  direction: 'in' | 'out',
  bytes: Buffer,
  path: { readonly transport: string; readonly remote: { readonly host: string; readonly port: number } },
) => void;

/**
 * Reads a frame of drachtio's protocol: `id|sip|source|bytes|protocol|address|port|...`, and for what was sent for us
 * `id|response|id of the command|OK|source|bytes|protocol|address|port|...`; the message follows on the next line.
 */
function tellOf(frame: string, told: SeenMessage): void {
  const start = frame.indexOf('\r\n');
  if (start < 0) return;
  const fields = frame.slice(0, start).split('|');
  const isReply = fields[1] === 'response' && fields[3] === 'OK';
  if (fields[1] !== 'sip' && !isReply) return;
  const [source, , transport = '', host = '', port] = fields.slice(isReply ? 4 : 2);
  const bytes = Buffer.from(frame.slice(start + 2));
  if (bytes.length === 0) return;
  told(source === 'application' ? 'out' : 'in', bytes, { transport, remote: { host, port: Number(port) } });
}

/** Makes each message harmless before drachtio-srf parses it. */
function sanitizeMessagesOf(
  srf: Srf,
  dropped: (peer: string | undefined) => void,
  told: SeenMessage | undefined,
): void {
  const { wp } = (srf as unknown as Listening).app.client;
  const readers = wp.listeners('msg') as ((socket: unknown, text: string) => void)[];
  wp.removeAllListeners('msg');
  wp.on('msg', (socket: unknown, text: string) => {
    if (told) tellOf(text, told);
    const harmless = sanitizeFrame(text);
    // The peer's address is the sixth field of the line before the message.
    if (harmless === undefined) dropped(text.split('|', 6)[5]);
    else for (const read of readers) read.call(wp, socket, harmless);
  });
}

/** Reconnect back-off: 250 ms, times 1.7 after each attempt, up to this. */
const LAST_DELAY_MS = 5000;
/** drachtio-server drops clients that are silent for too long, and a dead connection is noticed only by sending. */
const PING_EVERY_MS = 15_000;
const OLDEST_VERSION = [0, 8];

interface SipClientOptions {
  /** The admin port of drachtio-server or of the embedded SIP server. */
  readonly server: { readonly host: string; readonly port: number; readonly secret: string };
  /** How long calls are kept while the connection is down, in ms. Default 30 s. */
  readonly graceMs?: number;
  readonly onMessage?: SeenMessage;
  readonly log: Logger;
}

const ANY: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** The tag by which a SIP server knows this application. */
export const APP_TAG = 'patchbay';

interface SipClientEvents {
  /** The connection is up for the first time. */
  up: [];
  /** The connection is down. Requests under way to the SIP server are never answered. */
  away: [];
  /** The connection has been down for longer than the grace time. */
  lost: [];
  /** The connection is up again, in time or not. The SIP server does not pass on requests in dialogs from before. */
  back: [];
}

/**
 * The connection of drachtio-srf to one SIP server. It reconnects for as long as it takes. Calls outlive a short
 * interruption: the server keeps their dialogs, and accepts our requests in them over the new connection.
 */
export class SipClient extends EventEmitter<SipClientEvents> {
  /** The same application object over all reconnects. */
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
          `The secret is wrong: PATCHBAY_DRACHTIO must have the secret of drachtio.conf.xml (${error.message}).`,
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

  /**
   * Whether the SIP server can be reached. While the connection is down, waits until it is up again or lost; before the
   * first one, waits for that.
   */
  async reachable(): Promise<boolean> {
    if (this.#state === 'away' || this.#state === 'starting') {
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          this.off('up', settle).off('back', settle).off('lost', settle);
          resolve();
        };
        this.on('up', settle).on('back', settle).on('lost', settle);
      });
    }
    return this.connected;
  }

  /** Where the SIP server receives calls over UDP; absent before the first connection. */
  get sipAddress(): { readonly host: string; readonly port: number } | undefined {
    const [, host, port] = /(?:^|,)udp\/([^,]+):(\d+)/.exec(this.#addresses) ?? [];
    return host === undefined ? undefined : { host, port: Number(port) };
  }

  /** Where a call from this machine reaches the SIP server, by the simplest transport that it has. */
  get receivesAt():
    { readonly transport: 'udp' | 'tcp' | 'tls'; readonly host: string; readonly port: number } | undefined {
    const entries = this.#addresses.split(',');
    for (const transport of ['udp', 'tcp', 'tls'] as const) {
      const entry = entries.find((one) => one.startsWith(`${transport}/`))?.slice(transport.length + 1);
      if (entry === undefined) continue;
      const colon = entry.lastIndexOf(':');
      const host = entry.slice(0, colon).replace(/^\[|\]$/g, '');
      // Of a server that listens on all addresses, the one of this machine.
      return { transport, host: ANY[host] ?? host, port: Number(entry.slice(colon + 1)) };
    }
    return undefined;
  }

  /**
   * Connects, and retries until it works. Handlers of requests must be registered before.
   * @returns whether it was connected within `waitMs`
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
    // Called before the connection is made, and so before its first message.
    const dropped = (peer: string | undefined): void =>
      this.#log.warn({ peer }, 'A SIP message that cannot be parsed was dropped.');
    sanitizeMessagesOf(this.srf, dropped, this.#options.onMessage);
    await connecting;
    return up;
  }

  stop(): void {
    const { connected } = this;
    this.#state = 'stopped';
    clearTimeout(this.#grace);
    this.removeAllListeners();
    // drachtio-srf cannot close a connection that is not up. If one comes up later, it is closed then.
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
      this.#log.warn({ version }, 'This drachtio-server is older than 0.8, which is not supported.');
    this.emit(before === 'starting' ? 'up' : 'back');
  }

  #disconnected(): void {
    // Makes the dialogs use the next connection.
    for (const dialog of this.#dialogs) dialog.req.socket = undefined;
    if (this.#state !== 'up') return;
    this.#state = 'away';
    const graceMs = this.#options.graceMs ?? 30_000;
    this.#log.warn({ graceMs }, 'The connection to the SIP server is down; calls go on for the time being.');
    this.#grace = setTimeout(() => {
      this.#state = 'lost';
      this.#log.error('The connection to the SIP server did not come back in time: its calls end.');
      this.emit('lost');
    }, graceMs);
    this.emit('away');
  }

  /** Logs each kind of trouble once, not at each attempt. */
  #complain(trouble: string): void {
    if (trouble === this.#lastTrouble || this.#state === 'stopped') return;
    this.#lastTrouble = trouble;
    this.#log.warn({ trouble }, 'cannot reach the SIP server; retrying');
  }
}

/** Whether a drachtio-server is too old. The embedded server and development builds have other versions: they pass. */
function isOlder(version: string): boolean {
  const [major, minor] = /^v?(\d+)\.(\d+)\./.exec(version)?.slice(1).map(Number) ?? [];
  if (major === undefined || minor === undefined) return false;
  return major < OLDEST_VERSION[0]! || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1]!);
}
