import type { App } from '../apps/app.js';
import { inviteView } from '../defence/request-view.js';
import type { Dialog } from '../dialog/dialog.js';
import type { Essentials } from '../message/essentials.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { buildResponse } from '../message/respond.js';
import type { ServerMachine, ServerTransaction } from '../transaction/server-machine.js';
import { newTag, type TransactionUser } from '../transaction/transactions.js';
import type { Flow } from '../transport/flow.js';
import { Proxy } from '../proxy/proxy.js';
import { ApplicationResponses } from './responses.js';
import { UserAgentClient } from './client.js';
import { endDialog, type UserAgentContext } from './context.js';
import { DetachedDialogs, PendingRequests } from './pending.js';
import { UserAgentServer } from './server.js';
import { RestoredDialogs } from './restored-dialogs.js';
import { SessionTimers, Subscriptions } from './session-timers.js';

/** The transaction user (RFC 3261): passes messages to the user agent server, the client and the proxy. */
export class UserAgent implements TransactionUser {
  readonly server: UserAgentServer;
  readonly responses: ApplicationResponses;
  readonly client: UserAgentClient;
  readonly proxy: Proxy;
  readonly restored: RestoredDialogs;
  readonly #context: UserAgentContext;
  readonly #detached: DetachedDialogs;

  /** `maxProxied` is the most proxied dialogs that are remembered. */
  constructor(context: UserAgentContext, maxProxied: number) {
    this.#context = context;
    const hangUp = (dialog: Dialog, why: string): void => this.client.hangUp(dialog, why);
    const pending = new PendingRequests();
    const sessionTimers = new SessionTimers(context, hangUp);
    const subscriptions = new Subscriptions(context);
    this.client = new UserAgentClient(context, sessionTimers, subscriptions);
    this.responses = new ApplicationResponses(context, pending, sessionTimers, subscriptions, hangUp);
    this.#detached = new DetachedDialogs(context, hangUp);
    this.proxy = new Proxy(context, pending, maxProxied);
    const parts = {
      pending,
      responses: this.responses,
      sessionTimers,
      detached: this.#detached,
      proxy: this.proxy,
    };
    this.restored = new RestoredDialogs(context, parts);
    this.server = new UserAgentServer(context, parts);
  }

  request(transaction: ServerTransaction): void {
    if (!this.proxy.takes(transaction)) this.server.request(transaction);
  }

  cancel(transaction: ServerTransaction, invite: ServerMachine | undefined): void {
    this.server.cancel(transaction, invite);
  }

  ack(request: SipRequest, essentials: Essentials, flow: Flow): void {
    if (!this.proxy.ack(request, essentials, flow)) this.server.ack(request, essentials, flow);
  }

  merged(transaction: ServerTransaction): void {
    const { request, localTag: toTag, flow } = transaction;
    const response = buildResponse(request, 482, { toTag, why: 'the same request arrived on another path' });
    transaction.respond(response);
    this.#context.refusals.tell(request, response, flow);
  }

  repeated(machine: ServerMachine, essentials: Essentials, flow: Flow): void {
    this.server.repeated(machine, essentials, flow);
  }

  stray(response: SipResponse, essentials: Essentials): void {
    if (!this.restored.acknowledge(response, essentials)) this.#context.counters.droppedStray++;
  }

  overloaded(request: SipRequest, essentials: Essentials, flow: Flow): void {
    const headers = [['Retry-After', '10']] as const;
    this.#context.sender.sendMessage(
      flow,
      buildResponse(request, 503, { toTag: newTag(), why: 'too many requests at once', headers }),
    );
    if (request.method === 'INVITE' && essentials.toTag === '')
      this.#context.onNoRoom?.(inviteView(request, flow));
  }

  /** An application has disconnected: ends what it left open. */
  appClosed(app: App): void {
    this.server.appClosed(app);
  }

  /** Forgets a dialog: another server has it. */
  giveAway(dialogId: string): void {
    const dialog = this.#context.dialogs.byId(dialogId);
    if (dialog) endDialog(this.#context, dialog);
  }

  /** Drops every dialog. */
  stop(): void {
    this.#detached.stop();
    this.restored.stop();
    this.proxy.stop();
    this.server.stop();
    for (const { dialog } of [...this.#context.records.values()]) endDialog(this.#context, dialog);
  }
}
