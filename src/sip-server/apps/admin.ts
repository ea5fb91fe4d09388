import { timingSafeEqual, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import type { SipCounters } from '../counters.js';
import type { Endpoint } from '../transport/flow.js';
import type { Log } from '../../shared/index.js';
import { App, type Routes } from './app.js';
import {
  type AppMessage,
  outcomeFrame,
  type ProxyOptions,
  readAppMessage,
  readProxyOptions,
} from './wire.js';

/** The version of the admin protocol that we announce: drachtio-srf decides by it whether to ping. */
const VERSION = 'v0.9.0';
const MAX_APPS = 64;
const MAX_QUEUED_BYTES = 16 << 20;

/** The commands of authenticated applications. */
export interface AppCommands {
  respond(app: App, messageId: string, transactionId: string, message: AppMessage): void;
  requestInside(app: App, messageId: string, dialogId: string, message: AppMessage): void;
  requestOutside(app: App, messageId: string, message: AppMessage, route: string): void;
  cancel(app: App, messageId: string, transactionId: string, message: AppMessage): void;
  proxy(app: App, messageId: string, transactionId: string, options: ProxyOptions, message: AppMessage): void;
  /** An application asked for a method or an event. */
  asked(): void;
  closed(app: App): void;
}

export interface AdminOptions extends Endpoint {
  readonly secret: string;
}

/** The TCP port to which applications connect: the server side of drachtio's admin protocol. */
export class Admin {
  readonly #server: Server;
  readonly #secret: string;
  readonly #routes: Routes;
  readonly #commands: AppCommands;
  readonly #hostports: () => string;
  readonly #counters: SipCounters;
  readonly #log: Log;
  readonly #apps = new Set<App>();
  #drained: (() => void) | undefined;

  private constructor(
    options: AdminOptions,
    routes: Routes,
    commands: AppCommands,
    hostports: () => string,
    counters: SipCounters,
    log: Log,
  ) {
    this.#secret = options.secret;
    this.#routes = routes;
    this.#commands = commands;
    this.#hostports = hostports;
    this.#counters = counters;
    this.#log = log;
    this.#server = createServer((socket) => {
      if (!this.#hasRoom()) {
        socket.destroy();
        return;
      }
      const app = new App(socket, MAX_QUEUED_BYTES, {
        message: (from, line, sip) => this.#onMessage(from, line, sip),
        closed: (gone) => this.#onClosed(gone),
        silent: () => this.#counters.closedUnauthenticated++,
        backlogged: () => {
          this.#counters.droppedAppBacklog++;
        },
      });
      this.#apps.add(app);
    });
  }

  /** Starts to listen. `hostports` returns our SIP addresses in the form that applications are given. */
  static async open(
    options: AdminOptions,
    routes: Routes,
    commands: AppCommands,
    hostports: () => string,
    counters: SipCounters,
    log: Log,
  ): Promise<Admin> {
    const admin = new Admin(options, routes, commands, hostports, counters, log);
    admin.#server.listen(options.port, options.host);
    await once(admin.#server, 'listening');
    return admin;
  }

  get address(): Endpoint {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the admin port is closed');
    return { host: address.address, port: address.port };
  }

  get appCount(): number {
    return this.#apps.size;
  }

  /** Lets applications finish what they have sent. Resolves when all have disconnected, or after `ms`. */
  async drain(ms: number): Promise<void> {
    if (this.#apps.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async close(): Promise<void> {
    for (const app of [...this.#apps]) app.close();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Whether one more application fits. When full, the oldest unauthenticated connection is closed. */
  #hasRoom(): boolean {
    if (this.#apps.size < MAX_APPS) return true;
    this.#counters.closedUnauthenticated++;
    const oldest = [...this.#apps].find(({ authenticated }) => !authenticated);
    oldest?.close();
    return oldest !== undefined;
  }

  #onClosed(app: App): void {
    this.#apps.delete(app);
    this.#routes.removeApp(app);
    this.#commands.closed(app);
    if (this.#apps.size === 0) this.#drained?.();
  }

  #onMessage(app: App, line: string, sip: Buffer): void {
    const [messageId = '', command = '', ...fields] = line.split('|');
    if (command === 'authenticate') this.#authenticate(app, messageId, fields);
    else if (!app.authenticated) app.close();
    else this.#obey(app, messageId, command, fields, sip);
  }

  #authenticate(app: App, messageId: string, [secret = '', tags = '']: string[]): void {
    if (!sameSecret(secret, this.#secret)) {
      this.#log.warn({}, 'an application gave a wrong secret');
      app.send(outcomeFrame(messageId, false, 'incorrect secret'));
      app.closeAfterSending();
      return;
    }
    app.authenticate();
    app.tags = tags.split(',').filter((tag) => tag !== '');
    const hostports = this.#hostports();
    app.send(outcomeFrame(messageId, true, `${hostports}|${VERSION}|${hostports}`));
  }

  #obey(app: App, messageId: string, command: string, fields: string[], sip: Buffer): void {
    switch (command) {
      case 'ping':
        app.send(outcomeFrame(messageId, true, 'pong'));
        return;
      case 'route':
        this.#routes.add(app, fields[0] ?? '');
        app.send(outcomeFrame(messageId, true));
        this.#commands.asked();
        return;
      case 'remove_route':
        this.#routes.remove(app, fields[0] ?? '');
        app.send(outcomeFrame(messageId, true));
        return;
      case 'sip':
      case 'proxy':
        this.#obeySip(app, messageId, command, fields, sip);
        return;
      default:
        app.send(outcomeFrame(messageId, false, 'Unknown message type'));
    }
  }

  #obeySip(app: App, messageId: string, command: 'sip' | 'proxy', fields: string[], sip: Buffer): void {
    const message = readAppMessage(sip);
    const [transactionId = '', dialogId = '', route = ''] = fields;
    if (!message) app.send(outcomeFrame(messageId, false, 'Invalid message format'));
    else if (command === 'proxy') {
      this.#commands.proxy(app, messageId, transactionId, readProxyOptions(fields.slice(1)), message);
    } else if (message.status > 0) this.#commands.respond(app, messageId, transactionId, message);
    else if (dialogId !== '') this.#commands.requestInside(app, messageId, dialogId, message);
    else if (transactionId !== '') this.#commands.cancel(app, messageId, transactionId, message);
    else this.#commands.requestOutside(app, messageId, message, route);
  }
}

function sameSecret(given: string, wanted: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text, 'latin1').digest();
  return timingSafeEqual(hash(given), hash(Buffer.from(wanted).toString('latin1')));
}
