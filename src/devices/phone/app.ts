import { randomUUID } from 'node:crypto';
import { type AddressFilter, inNetworks, maskTokens, settledWithin } from '../../shared/index.js';
import { type DeviceInfo, type EndReason, PatchbayError } from '../../core/index.js';
import { PhoneCall } from './call.js';
import {
  endedOutcome,
  noRoom,
  Refusal,
  refusalHeaders,
  refusalOf,
  refuse,
  refusedOutcome,
  refusing,
} from './refusal.js';
import { isRefused, sendBye, sendForgottenBye, type UnsentBye } from './dialog/bye.js';
import { calledAndCaller, shownHeaders } from './caller.js';
import { FailedCallReports } from './failed-call-reports.js';
import type { CallOrigin, PhoneAppOptions } from './options.js';
import { allow, REFUSED_OUTSIDE, requireOnlySupported, SUPPORTED } from './capabilities.js';
import { methodNotAllowed } from './dialog/attend.js';
import { MIN_SE_S } from './dialog/session-terms.js';
import { AwaitedPracks } from './reliable.js';
import { ReplaceableCalls } from './replaces.js';
import { CallsByDialog } from './restore/calls-by-dialog.js';
import { recordElsewhere } from './restore/call-record.js';
import type { LeftCall } from './restore/left-calls.js';
import { forgetDialog } from './restore/restored-dialog.js';
import { RestoredCall } from './restore/restored-call.js';
import { setUpCall, type SetupOptions } from './setup.js';
import { watchDialog } from './dialog/dialog-watch.js';
import {
  callIdOf,
  SDP_TYPE,
  type SipApplication,
  sipApplication,
  type SipDialog,
  type SipRequest,
  type SipResponder,
  sourceOf,
} from './sip.js';

/** How long a stop waits for answers to BYEs: enough for a few retransmissions (RFC 3261 timer E). */
const BYE_LIMIT_MS = 2000;

/** Phone devices: the SIP application, from INVITE to BYE. */
export class PhoneApp {
  readonly #options: PhoneAppOptions;
  readonly #application: SipApplication;
  readonly #isTrusted: AddressFilter;
  readonly #failedCallReports: FailedCallReports;
  readonly #setup: SetupOptions;
  readonly #calls = new Map<string, PhoneCall>();
  readonly #watched = new WeakSet<SipDialog>();
  readonly #returns = new ServerReturns();
  #unsentByes: UnsentBye[] = [];
  readonly #idleListeners: (() => void)[] = [];
  readonly #byes = new Set<Promise<void>>();
  #draining = false;
  readonly #dialogs: CallsByDialog;
  readonly #sipServer: string;
  /** Until the SIP server can be reached. */
  readonly #restored: RestoredCall[] = [];

  /** @throws Error when `trustedPeers` has an invalid CIDR */
  constructor(options: PhoneAppOptions) {
    options.gate.registerKind('phone');
    this.#options = options;
    this.#sipServer = options.sipServer ?? '';
    this.#dialogs = new CallsByDialog(options.embedded);
    this.#application = sipApplication(options.srf);
    this.#isTrusted = inNetworks(options.trustedPeers ?? []);
    const tokenHeaders = options.tokenHeaders ?? ['X-Participant-Token'];
    this.#failedCallReports =
      options.failedCallReports ?? new FailedCallReports({ ...options, tokenHeaders });
    this.#setup = {
      application: this.#application,
      gate: options.gate,
      tokenHeaders,
      observer: options.observer,
      sessionIntervals: { wantedS: options.sessionExpiresS ?? 1800, leastS: options.minSessionS ?? MIN_SE_S },
      acceptTransfers: options.acceptTransfers ?? false,
      pracks: new AwaitedPracks(),
      callOf: (deviceId) => this.#calls.get(deviceId),
      replaceable: new ReplaceableCalls(),
      knowsPeers: options.knowsPeers ?? false,
      answering: (call, invite) => this.#dialogs.answering(call, invite),
      embedded: options.embedded,
    };
    this.#application.use('invite', (request, responder) => void this.#onInvite(request, responder));
    this.#attendOthers();
  }

  /** Calls at this moment, including those that are being set up. */
  get callCount(): number {
    return this.#calls.size;
  }

  /**
   * Goes on with calls that an earlier gateway has left with this SIP server. To be called before that is connected to.
   */
  async restore(left: readonly LeftCall[]): Promise<void> {
    for (const one of left)
      if (one.record.sipServer === this.#sipServer && !one.isElsewhere)
        this.#restored.push(this.#restoredCall(one));
    await Promise.all(this.#restored.map((restored) => restored.goOn()));
  }

  /**
   * Goes on with a call of another gateway, which is gone: the phone is offered where its media are now.
   * @returns whether it can, or has said BYE: not if another SIP server has the dialog
   */
  async takeOver(left: LeftCall): Promise<boolean> {
    const { embedded } = this.#options;
    const { record } = left;
    if (record.sipServer !== this.#sipServer || this.#calls.has(record.info.id)) return false;
    const dialog = embedded ? embedded.takeOver(record.dialog) : record.dialog;
    if (!dialog) return false;
    const restored = this.#restoredCall({ ...left, record: recordElsewhere(record, dialog) });
    await restored.goOn();
    restored.call.deliverAgain();
    restored.settle();
    if (!embedded) this.sipServerBack();
    return true;
  }

  #restoredCall(left: LeftCall): RestoredCall {
    const { srf, media, freeswitch } = this.#options;
    const { info, origin } = left.record;
    const log = this.#options.log.child({ callId: info.externalId, peer: origin.address });
    const call = this.#newCall(info, { ...origin, port: origin.port }, log);
    return new RestoredCall(call, left, { ...this.#setup, srf, media, freeswitch });
  }

  /** All devices of the earlier gateway are connected to the core again: phones are told what they receive. */
  deliverAgain(): void {
    for (const call of this.#calls.values()) call.deliverAgain();
  }

  /** The embedded SIP server has something new to keep of a dialog. */
  dialogChanged(dialogId: string): void {
    this.#dialogs.find(dialogId)?.dialogChanged(dialogId);
  }

  /** There is something new to keep of a device's way through FreeSWITCH. */
  wayChanged(deviceId: string): void {
    this.#calls.get(deviceId)?.keeper.soon();
  }

  /** The SIP server can be reached for the first time. */
  sipServerUp(): void {
    this.#returns.announce();
    for (const restored of this.#restored.splice(0)) restored.settle();
    // drachtio-server does not pass on requests in dialogs of an earlier connection.
    if (!this.#options.embedded) this.sipServerBack();
  }

  /** Refuses new calls with 503. Resolves when the last call is over. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#calls.size === 0) return;
    await new Promise<void>((resolve) => this.#idleListeners.push(resolve));
  }

  /** Hangs up every call and refuses new ones. Waits up to 2 s for answers to the BYEs. */
  async stop(reason: EndReason = 'shutdown'): Promise<void> {
    const idle = this.drain();
    for (const call of this.#calls.values()) call.hangUp(reason);
    await idle;
    await settledWithin(Promise.all(this.#byes), BYE_LIMIT_MS);
  }

  /**
   * The connection to the SIP server is down. Requests under way are never answered, so calls without a dialog end.
   */
  sipServerAway(): void {
    for (const call of this.#calls.values()) if (!call.dialog) call.hangUp('lost');
  }

  /** The connection to the SIP server is down for longer than calls are kept. */
  sipServerLost(): void {
    for (const call of this.#calls.values()) call.hangUp('lost');
  }

  /** The SIP server can be reached again. It does not report the BYEs of calls from before, so their phones are asked. */
  sipServerBack(): void {
    this.#returns.announce();
    const unsent = this.#unsentByes;
    this.#unsentByes = [];
    for (const bye of unsent) void this.#retryBye(bye);
    for (const call of this.#calls.values()) {
      const { dialog } = call;
      if (!dialog || this.#watched.has(dialog)) continue;
      this.#watched.add(dialog);
      watchDialog(call, dialog, this.#application);
    }
  }

  async #retryBye(unsent: UnsentBye): Promise<void> {
    try {
      const outcome = await sendBye(unsent.dialog, unsent.headers, { pause: this.#pause, wasAway: true });
      if (outcome === 'forgotten') await sendForgottenBye(unsent.dialog, unsent.headers, this.#application);
      unsent.over();
    } catch (error) {
      // The SIP server would refuse it again.
      if (error instanceof Error && isRefused(error.cause)) {
        unsent.over();
        return;
      }
      this.#options.log.debug({ err: error }, 'The SIP server is away again; a BYE waits for it.');
      this.#unsentByes.push(unsent);
    }
  }

  /** Answers requests outside of calls. */
  #attendOthers(): void {
    const { log, observer } = this.#options;
    const told = { log, observer };
    this.#application.use(
      'options',
      refusing(told, (request, responder) => {
        requireOnlySupported(request);
        const headers = { Allow: allow(this.#setup), Accept: SDP_TYPE, Supported: SUPPORTED };
        responder.send(200, { headers });
      }),
    );
    this.#application.use(
      'prack',
      refusing(told, (prack, responder) => this.#setup.pracks.onPrack(prack, responder)),
    );
    const noSuchCall = refusing(told, () => {
      throw new Refusal(481, 'There is no such call.');
    });
    for (const method of ['bye', 'info', 'update']) this.#application.use(method, noSuchCall);
    const notAllowed = refusing(told, (request) => {
      throw methodNotAllowed(request.method, this.#setup);
    });
    for (const method of REFUSED_OUTSIDE) this.#application.use(method, notAllowed);
  }

  async #onInvite(invite: SipRequest, responder: SipResponder): Promise<void> {
    const { observer, admit, isTestCall } = this.#options;
    const isTest = isTestCall?.(callIdOf(invite)) === true;
    const retryAfterS = this.#draining ? undefined : admit?.(invite.source_address, isTest);
    if (retryAfterS !== undefined) {
      // Not logged one by one, as there are many: admission control logs once when overload begins.
      responder.send(503, { headers: refusalHeaders(noRoom(retryAfterS)) });
      observer?.over(refusedOutcome(503));
      this.#failedCallReports.foundNoRoom(invite, noRoom(retryAfterS));
      return;
    }
    const log = this.#options.log.child({ callId: callIdOf(invite), peer: invite.source_address });
    const receivedAt = performance.now();
    let call: PhoneCall | undefined;
    try {
      if (this.#draining) throw new PatchbayError('PATCHBAY_SHUTTING_DOWN', 'The gateway is stopping.');
      call = this.#newCall(
        { ...this.#infoOf(invite), ...(isTest && { test: true }) },
        { ...sourceOf(invite), port: invite.source_port },
        log,
      );
      await setUpCall(call, invite, responder, this.#setup);
      observer?.answered(performance.now() - receivedAt);
    } catch (error) {
      const status = refuse(error, invite, responder, { log, observer });
      if (!call?.wasAnswered) observer?.over(refusedOutcome(status));
      // A caller who cancelled (487) need not be told.
      if (call && !call.wasAnswered && status !== 487) {
        this.#failedCallReports.report(invite, call.info, refusalOf(error));
      }
      call?.failed();
    }
  }

  #infoOf(invite: SipRequest): DeviceInfo {
    return {
      id: randomUUID(),
      kind: 'phone',
      externalId: maskTokens(callIdOf(invite)),
      direction: 'inbound',
      ...calledAndCaller(invite, this.#isTrusted),
      ...shownHeaders(invite, this.#options.shownHeaders ?? []),
    };
  }

  #newCall(info: DeviceInfo, origin: CallOrigin, log: PhoneAppOptions['log']): PhoneCall {
    const { srf, media, maxCallMs = 0, embedded, freeswitch, calls, lease, gatewayId } = this.#options;
    const call = new PhoneCall({
      info,
      media,
      log,
      maxCallMs,
      origin,
      keeper: { sipServer: this.#sipServer, gatewayId, embedded, freeswitch, calls },
      lease,
      onTakenOver: (dialog) => {
        forgetDialog(srf, dialog);
        embedded?.giveAway(dialog.id);
      },
      onDialog: (answered, dialog) => this.#dialogs.add(answered, dialog.id),
      onEnded: (ended, reason) => this.#forget(ended, reason),
      pause: this.#pause,
      onBye: (bye) => {
        this.#byes.add(bye);
        void bye.then(() => this.#byes.delete(bye));
      },
      onByeUnsent: (unsent) => this.#unsentByes.push(unsent),
      onByeForgotten: (unsent) => void this.#retryBye(unsent),
    });
    this.#calls.set(call.info.id, call);
    return call;
  }

  #forget(call: PhoneCall, reason: EndReason): void {
    this.#calls.delete(call.info.id);
    // Calls that were not answered count as refused.
    if (call.wasAnswered) this.#options.observer?.over(endedOutcome(reason));
    if (this.#calls.size > 0) return;
    for (const listener of this.#idleListeners.splice(0)) listener();
  }

  readonly #pause = (ms: number): Promise<void> => this.#returns.within(ms);
}

/** Builds the SIP application and registers it with drachtio-srf. */
export function createPhoneApp(options: PhoneAppOptions): PhoneApp {
  return new PhoneApp(options);
}

/** Lets callers wait until the SIP server can be reached again. */
export class ServerReturns {
  readonly #waiting = new Set<() => void>();

  /** Resolves when the server is back, or after so many ms. */
  within(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#waiting.add(done);
    });
  }

  /** The server is back. */
  announce(): void {
    for (const wake of this.#waiting) wake();
  }
}
