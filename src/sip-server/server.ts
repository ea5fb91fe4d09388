import { Admin, type AppCommands } from './apps/admin.js';
import { Routes } from './apps/app.js';
import { type SipCounters, zeroCounters } from './counters.js';
import { SourceFilter, KNOWN_SCANNERS } from './defence/source-filter.js';
import { Dialogs } from './dialog/dialog.js';
import { MIN_SESSION_SECONDS } from './dialog/session-timer.js';
import { Inbound } from './inbound.js';
import { hostPort } from './message/uri.js';
import { MessageTrace } from './trace.js';
import { DEFAULT_SIP_LIMITS, type SipServerOptions } from './options.js';
import { Transactions, type TransactionUser } from './transaction/transactions.js';
import type { Endpoint, Flow, TransportName } from './transport/flow.js';
import { Transports } from './transport/transports.js';
import type { SavedDialog } from './dialog/saved-dialog.js';
import { type DialogRecord, Refusals, savedDialog } from './user-agent/context.js';
import { UserAgent } from './user-agent/user-agent.js';
import { encodeMessage, type SipMessage } from './message/message.js';
import type { Sender } from './transport/udp.js';

/** How long `stop` waits for applications to close their connections. */
const APP_DRAIN_MS = 500;

/** The counter for each reason why a connection was refused or closed. */
const CONNECTION_COUNTERS = {
  refused: 'droppedConnections',
  'gave-way': 'closedForRoom',
  silent: 'closedSilent',
  half: 'closedHalfMessage',
  unread: 'closedUnread',
} as const;

/** Current sizes of the server's tables. */
export interface SipTableSizes {
  readonly transactions: number;
  /** New requests that wait for their turn. */
  readonly waiting: number;
  readonly dialogs: number;
  /** Dialogs that this server proxies. */
  readonly proxiedDialogs: number;
  readonly connections: number;
  readonly apps: number;
}

/** A running SIP server. */
export interface SipServer {
  /** The addresses that it listens on, with the ports that were chosen. */
  readonly sipAddresses: readonly (Endpoint & { readonly transport: TransportName })[];
  /** Where drachtio-srf connects. */
  readonly adminAddress: Endpoint;
  /** The counters, and the current table sizes. */
  counters(): SipCounters & SipTableSizes;
  /** Whether the dialog's peer last used a connection that is now closed. */
  hasLostConnection(dialogId: string): boolean;
  /**
   * What another process needs to go on with a dialog: see `SipServerOptions.restored`. Undefined for one that is not
   * confirmed or no INVITE's.
   */
  savedDialog(dialogId: string): SavedDialog | undefined;
  /**
   * Goes on with a dialog that a server elsewhere had, from what its `savedDialog` told. The application, which must know the
   * dialog, tells the peer the new address by a re-INVITE.
   * @returns what `savedDialog` tells of it now, with our Contact; undefined when it cannot be gone on with
   */
  takeOver(saved: unknown): SavedDialog | undefined;
  /** Forgets a dialog that another server has taken over. Neither peer nor application is told. */
  giveAway(dialogId: string): void;
  /** Sends a report on the quality of a call to the Homer server, if there is one. */
  captureQuality(callId: string, report: object): void;
  /** Lets closing applications finish what they have sent, then closes every socket and drops every call. */
  stop(): Promise<void>;
}

/**
 * Starts a SIP server that applications control over drachtio's admin protocol. Rejects, and leaves nothing open,
 * when an address cannot be bound.
 */
export async function startSipServer(options: SipServerOptions): Promise<SipServer> {
  const counters = zeroCounters();
  const limits = { ...DEFAULT_SIP_LIMITS, ...options.limits };
  const sourceFilter = new SourceFilter(
    {
      allow: options.allow,
      rate: { perSecond: limits.messagesPerSecond, burst: limits.messageBurst },
      scanners: options.scanners ?? KNOWN_SCANNERS,
      exempts: options.exempts,
      isOwnSocket: options.isOwnSocket,
    },
    counters,
  );
  const { onMessage } = options;
  const trace = new MessageTrace(options.log, options.maskedHeaders ?? [], options.capture, onMessage);
  // The parts refer to each other in a circle: transports call the layers above, which send through transports.
  const later: { inbound?: Inbound; agent?: UserAgent } = {};
  const transports = await Transports.open({
    listeners: options.listeners,
    publicHost: options.publicIp === '' ? undefined : options.publicIp,
    limits: {
      firstMs: limits.firstMessageMs,
      idleMs: limits.connectionIdleMs,
      messageMs: limits.wholeMessageMs,
      maxQueuedBytes: 1 << 20,
      maxQueuedInAll: 64 << 20,
      maxConnections: limits.maxConnections,
      maxPerAddress: limits.maxConnectionsPerAddress,
    },
    tlsPeers: options.tlsPeers ?? { verify: true },
    log: options.log,
    received: (bytes, flow) => later.inbound?.receive(bytes, flow) ?? false,
    broken: (head, _why, flow) => void later.inbound?.receive(head, flow),
    admits: (host) => sourceFilter.admitsConnection(host),
    ended: (why) => {
      counters[CONNECTION_COUNTERS[why]]++;
    },
  });
  const sender = new Outbound(transports, sourceFilter, trace, counters);
  const dialogs = new Dialogs(limits.maxDialogs);
  const routes = new Routes();
  const transactions = new Transactions(
    sender,
    lateUser(() => later.agent),
    limits.maxTransactions,
    counters,
  );
  const records = new Map<string, DialogRecord>();
  const { log } = options;
  const agent = new UserAgent(
    {
      transports,
      transactions,
      sender,
      dialogs,
      records,
      routes,
      minSessionSeconds: options.minSessionSeconds ?? MIN_SESSION_SECONDS,
      decide: options.router ?? (() => ({ action: 'route' })),
      homeTag: options.homeTag,
      dialogChanged: options.onDialogChanged ?? (() => undefined),
      mayAct: options.mayAct ?? (() => true),
      counters,
      refusals: new Refusals(counters, log),
      onNoRoom: options.onNoRoom,
      mask: trace.mask,
      log,
    },
    limits.maxDialogs,
  );
  later.agent = agent;
  const saved = (dialogId: string): SavedDialog | undefined => {
    const record = records.get(dialogId);
    return record && savedDialog(record);
  };
  // What arrives until now is not read: requests in restored dialogs are known from the first one on.
  agent.restored.restore(options.restored ?? []);
  const { admission, onNoRoom } = options;
  const inbound = new Inbound({
    sender,
    transactions,
    sourceFilter,
    dialogs,
    trace,
    counters,
    log,
    admission,
    onNoRoom,
  });
  later.inbound = inbound;
  const hostports = (): string =>
    transports.addresses.map(({ transport, host, port }) => `${transport}/${hostPort(host, port)}`).join(',');
  const commands = commandsOf(agent);
  const admin = await Admin.open(options.admin, routes, commands, hostports, counters, log);
  const stopAll = async (): Promise<void> => {
    transactions.refuseNew();
    await admin.drain(APP_DRAIN_MS);
    inbound.stop();
    agent.stop();
    transactions.stop();
    await Promise.all([admin.close(), transports.close()]);
    trace.close();
  };
  return {
    sipAddresses: transports.addresses,
    adminAddress: admin.address,
    counters: () => ({
      ...counters,
      transactions: transactions.size,
      waiting: inbound.waiting,
      dialogs: dialogs.size,
      proxiedDialogs: agent.proxy.dialogCount,
      connections: transports.connectionCount,
      apps: admin.appCount,
    }),
    hasLostConnection: (dialogId) => records.get(dialogId)?.dialog.flow.open === false,
    savedDialog: saved,
    takeOver: (given) => {
      const id = agent.restored.takeOver(given);
      return id === undefined ? undefined : saved(id);
    },
    giveAway: (dialogId) => agent.giveAway(dialogId),
    captureQuality: (callId, report) => {
      const [at] = transports.addresses;
      if (at) trace.quality(callId, at, report);
    },
    stop: stopAll,
  };
}

function commandsOf(agent: UserAgent): AppCommands {
  const { responses, client, proxy } = agent;
  return {
    respond: (...args) => responses.respond(...args),
    requestInside: (...args) => client.requestInside(...args),
    requestOutside: (...args) => client.requestOutside(...args),
    cancel: (...args) => client.cancel(...args),
    proxy: (...args) => proxy.proxyForApp(...args),
    asked: () => agent.restored.adopt(),
    closed: (app) => agent.appClosed(app),
  };
}

function lateUser(user: () => UserAgent | undefined): TransactionUser {
  return {
    request: (transaction) => user()?.request(transaction),
    cancel: (transaction, invite) => user()?.cancel(transaction, invite),
    ack: (request, essentials, flow) => user()?.ack(request, essentials, flow),
    merged: (transaction) => user()?.merged(transaction),
    repeated: (machine, essentials, flow) => user()?.repeated(machine, essentials, flow),
    stray: (response, essentials) => user()?.stray(response, essentials),
    overloaded: (request, essentials, flow) => user()?.overloaded(request, essentials, flow),
  };
}

/** The way out: counts, traces and limits everything that is sent. */
class Outbound implements Sender {
  readonly #transports: Transports;
  readonly #sourceFilter: SourceFilter;
  readonly #trace: MessageTrace;
  readonly #counters: SipCounters;

  constructor(
    transports: Transports,
    sourceFilter: SourceFilter,
    trace: MessageTrace,
    counters: SipCounters,
  ) {
    this.#transports = transports;
    this.#sourceFilter = sourceFilter;
    this.#trace = trace;
    this.#counters = counters;
  }

  send(flow: Flow, bytes: Buffer, kind: SipMessage['kind'], onFailure?: (error: Error) => void): void {
    // Only responses need the limit: a forged source address makes us respond to it, but not send requests to it.
    if (kind === 'response' && !this.#sourceFilter.allowsSending(bytes.length, flow)) return;
    if (kind === 'request') this.#counters.requestsOut++;
    else this.#counters.responsesOut++;
    this.#trace.message('out', bytes, flow);
    flow.send(bytes, onFailure);
  }

  sendMessage(flow: Flow, message: SipMessage): void {
    this.send(flow, encodeMessage(message), message.kind);
  }

  flowTo(transport: TransportName, remote: Endpoint, name?: string): Flow | undefined {
    return this.#transports.flowTo(transport, remote, name);
  }

  prove(flow: Flow): void {
    this.#sourceFilter.prove(flow);
  }
}
