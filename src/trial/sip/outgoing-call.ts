import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Clock, Timer } from '../../shared/index.js';
import { Headers, type SipMessage, type SipRequest, type SipResponse } from '../../sip-server/index.js';
import type { SipSocket } from './sip-socket.js';

/** RFC 3261 section 17.1.1.1. */
const T1_MS = 500;
const T2_MS = 4_000;
/** Timers B and F. */
const TIMEOUT_MS = 64 * T1_MS;
const ALLOW = 'INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO';
const NO_BODY = Buffer.alloc(0);

/** How the INVITE was answered in the end. */
export interface FinalAnswer {
  /** 408 when nothing came in time, 503 when the server could not be reached. */
  readonly status: number;
  /** Of the `Reason` header where there is one, else the reason phrase. */
  readonly reason: string;
  /** The status is our own: no response came. */
  readonly isLocal?: true;
}

interface CallHandlers {
  onRinging(status: number): void;
  /** @param sdp the answer to our offer */
  onAnswered(status: number, sdp: string): void;
  onRefused(answer: FinalAnswer): void;
  /** The other side hung up. @param reason of its BYE */
  onHungUp(reason: string | undefined): void;
  /** Our description for an offer of the other side. */
  describe(): string;
}

interface OutgoingCallOptions {
  readonly socket: SipSocket;
  readonly callId: string;
  readonly requestUri: string;
  /** Number or user part of the caller, and its display name. */
  readonly from: string;
  readonly displayName?: string | undefined;
  readonly userToUser: string;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly handlers: CallHandlers;
}

/** A client transaction: what is sent again until an answer comes. */
interface Sent {
  readonly branch: string;
  readonly request: SipRequest;
  /** Once it is aborted, a final response still comes. */
  timers: Timer[];
}

/** A call as a user agent client places it (RFC 3261 sections 8.1, 12, 13.2 and 15), to one server. */
export class OutgoingCall {
  readonly #options: OutgoingCallOptions;
  readonly #tag = randomBytes(8).toString('hex');
  #state: 'new' | 'calling' | 'answered' | 'over' = 'new';
  #invite: Sent | undefined;
  #other: Sent | undefined;
  #cseq = 1;
  #remoteTo = '';
  #remoteTarget: string;
  #routes: readonly string[] = [];
  #wantsCancel = false;
  #isRinging = false;
  #over: (() => void) | undefined;

  constructor(options: OutgoingCallOptions) {
    this.#options = options;
    this.#remoteTarget = options.requestUri;
    options.socket.onMessage = (message) => this.#take(message);
    options.socket.onLost = () => this.#lost();
  }

  /** Resolves when no message of the call is under way any more. To be called after {@link hangUp}. */
  async ended(): Promise<void> {
    if (this.#state === 'over' && !this.#other) return;
    await new Promise<void>((resolve) => (this.#over = resolve));
  }

  invite(sdp: string): void {
    this.#state = 'calling';
    const request = this.#request('INVITE', this.#cseq, Buffer.from(sdp));
    this.#invite = this.#send(request, () =>
      this.#refused({ status: 408, reason: 'No answer came within 32 s.', isLocal: true }),
    );
  }

  /** Sends BYE in an answered call, and CANCEL in one that is not. Later calls do nothing. */
  hangUp(): void {
    if (this.#state === 'answered') {
      this.#state = 'over';
      this.#cseq += 1;
      this.#other = this.#send(this.#request('BYE', this.#cseq), () => this.#done());
    } else if (this.#state === 'calling') {
      this.#wantsCancel = true;
      // A CANCEL must not be sent before a provisional response (section 9.1).
      if (this.#isRinging) this.#cancel();
    } else if (this.#state === 'new') this.#done();
  }

  #cancel(): void {
    const invite = this.#invite!.request;
    const headers = new Headers().add('Via', invite.headers.get('via')!).add('Max-Forwards', '70');
    for (const name of ['From', 'To', 'Call-ID']) headers.add(name, invite.headers.get(name.toLowerCase())!);
    headers.add('CSeq', `${this.#cseq} CANCEL`);
    const request: SipRequest = {
      kind: 'request',
      method: 'CANCEL',
      uri: invite.uri,
      headers,
      body: NO_BODY,
    };
    this.#other = this.#send(request, () =>
      this.#refused({ status: 487, reason: 'Cancelled.', isLocal: true }),
    );
  }

  /** Sends a request, and again until something stops it (sections 17.1.1.2 and 17.1.2.2). */
  #send(request: SipRequest, onTimeout: () => void): Sent {
    const { socket, clock } = this.#options;
    const branch = /branch=([^;]+)/.exec(request.headers.get('via')!)![1]!;
    const sent: Sent = { branch, request, timers: [] };
    const again = (ms: number): void => {
      if (socket.isReliable) return;
      const timer = clock.setTimeout(() => {
        sent.timers = sent.timers.filter((one) => one !== timer);
        socket.send(request);
        again(request.method === 'INVITE' ? 2 * ms : Math.min(2 * ms, T2_MS));
      }, ms);
      sent.timers.push(timer);
    };
    again(T1_MS);
    sent.timers.push(
      clock.setTimeout(() => {
        stop(sent);
        onTimeout();
      }, TIMEOUT_MS),
    );
    socket.send(request);
    return sent;
  }

  #take(message: SipMessage): void {
    if (message.headers.get('call-id') !== this.#options.callId) return;
    if (message.kind === 'request') this.#answer(message);
    else if (message.headers.get('cseq')?.endsWith('INVITE') === true) this.#onInviteResponse(message);
    else if (message.status >= 200) this.#onOtherResponse(message);
  }

  #onInviteResponse(response: SipResponse): void {
    const { status } = response;
    if (status >= 200) this.#acknowledge(response);
    if (this.#state !== 'calling') return;
    const { handlers } = this.#options;
    if (status < 200) {
      // Retransmissions end, and whoever rings may take longer than Timer B.
      stop(this.#invite!);
      const isFirst = !this.#isRinging;
      this.#isRinging = true;
      if (status > 100) handlers.onRinging(status);
      if (isFirst && this.#wantsCancel) this.#cancel();
      return;
    }
    stop(this.#invite!);
    if (status >= 300) {
      this.#refused({ status, reason: reasonOf(response) ?? response.reason });
      return;
    }
    this.#state = 'answered';
    if (this.#other) stop(this.#other);
    this.#other = undefined;
    if (this.#wantsCancel) this.hangUp();
    else handlers.onAnswered(status, response.body.toString('utf8'));
  }

  /** Section 13.2.2.4 for a 2xx, also a repeated one; section 17.1.1.3 for others. */
  #acknowledge(response: SipResponse): void {
    const isSuccess = response.status < 300;
    if (isSuccess && this.#state === 'calling') {
      this.#remoteTo = response.headers.get('to') ?? '';
      this.#remoteTarget = addressIn(response.headers.get('contact')) ?? this.#remoteTarget;
      this.#routes = response.headers.all('record-route').reverse();
    }
    const ack = this.#request('ACK', Number.parseInt(response.headers.get('cseq')!, 10));
    if (!isSuccess) {
      ack.headers.set('Via', this.#invite!.request.headers.get('via')!);
      ack.headers.set('To', response.headers.get('to') ?? '');
    }
    this.#options.socket.send(ack);
  }

  #onOtherResponse(response: SipResponse): void {
    const sent = this.#other;
    if (!sent || response.headers.get('via')?.includes(sent.branch) !== true) return;
    stop(sent);
    // After the response to a CANCEL, the INVITE's own should follow (section 9.1).
    if (sent.request.method === 'CANCEL') {
      const giveUp = (): void => this.#refused({ status: 487, reason: 'Cancelled.', isLocal: true });
      sent.timers.push(this.#options.clock.setTimeout(giveUp, TIMEOUT_MS));
      return;
    }
    this.#done();
  }

  #answer(request: SipRequest): void {
    const { handlers } = this.#options;
    switch (request.method) {
      case 'ACK':
        return;
      case 'BYE':
        this.#respond(request, 200, 'OK');
        if (this.#state !== 'answered') return;
        this.#done();
        handlers.onHungUp(reasonOf(request));
        return;
      case 'INVITE':
        // If our 200 is lost, the INVITE comes again and is answered again.
        this.#respond(request, 200, 'OK', handlers.describe());
        return;
      case 'UPDATE':
        this.#respond(request, 200, 'OK', request.body.length > 0 ? handlers.describe() : undefined);
        return;
      case 'OPTIONS':
      case 'INFO':
        this.#respond(request, 200, 'OK');
        return;
      default:
        this.#respond(request, 405, 'Method Not Allowed');
    }
  }

  /** Section 8.2.6. */
  #respond(request: SipRequest, status: number, reason: string, sdp?: string): void {
    const headers = new Headers();
    for (const via of request.headers.all('via')) headers.add('Via', via);
    for (const name of ['From', 'To', 'Call-ID', 'CSeq']) {
      headers.add(name, request.headers.get(name.toLowerCase()) ?? '');
    }
    for (const route of request.headers.all('record-route')) headers.add('Record-Route', route);
    headers.add('Allow', ALLOW);
    if (sdp !== undefined) headers.add('Contact', this.#contact).add('Content-Type', 'application/sdp');
    const body = sdp === undefined ? NO_BODY : Buffer.from(sdp);
    this.#options.socket.send({ kind: 'response', status, reason, headers, body });
  }

  get #contact(): string {
    const { local, target } = this.#options.socket;
    return `<sip:test-caller@${hostPort(local)};transport=${target.transport}>`;
  }

  #request(method: string, cseq: number, body = NO_BODY): SipRequest {
    const { socket, callId, from, displayName, requestUri, userToUser, userAgent } = this.#options;
    const { local, target } = socket;
    const branch = `z9hG4bK${randomBytes(12).toString('hex')}`;
    const name = displayName === undefined ? '' : `"${displayName.replace(/["\\\p{Cc}]/gu, '')}" `;
    const headers = new Headers()
      .add('Via', `SIP/2.0/${target.transport.toUpperCase()} ${hostPort(local)};branch=${branch};rport`)
      .add('Max-Forwards', '70')
      .add('From', `${name}<sip:${from.replace(/[^\w+.*#-]/g, '')}@${hostPort(local)}>;tag=${this.#tag}`)
      .add('To', this.#remoteTo === '' ? `<${requestUri}>` : this.#remoteTo)
      .add('Call-ID', callId)
      .add('CSeq', `${cseq} ${method}`);
    for (const route of this.#routes) headers.add('Route', route);
    if (method === 'INVITE') {
      headers.add('Contact', this.#contact).add('Allow', ALLOW).add('User-Agent', userAgent);
      if (userToUser !== '') headers.add('User-to-User', userToUser);
      headers.add('Content-Type', 'application/sdp');
    }
    return { kind: 'request', method, uri: this.#remoteTarget, headers, body };
  }

  #refused(answer: FinalAnswer): void {
    if (this.#state !== 'calling') return;
    this.#done();
    this.#options.handlers.onRefused(answer);
  }

  #lost(): void {
    const before = this.#state;
    this.#refused({ status: 503, reason: 'The SIP server cannot be reached.', isLocal: true });
    if (before !== 'answered') {
      this.#done();
      return;
    }
    this.#done();
    this.#options.handlers.onHungUp('The connection to the SIP server was lost.');
  }

  #done(): void {
    this.#state = 'over';
    if (this.#invite) stop(this.#invite);
    if (this.#other) stop(this.#other);
    this.#other = undefined;
    this.#over?.();
  }
}

function stop(sent: Sent): void {
  for (const timer of sent.timers) timer.cancel();
  sent.timers = [];
}

function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

/** The URI of a name-addr or addr-spec. */
function addressIn(contact: string | undefined): string | undefined {
  if (contact === undefined) return undefined;
  const open = contact.indexOf('<');
  if (open < 0) return contact.split(';', 1)[0]!.trim();
  return contact
    .slice(open + 1)
    .split('>', 1)[0]!
    .trim();
}

/** The text of a Reason header (RFC 3326). */
function reasonOf({ headers }: SipMessage): string | undefined {
  const value = headers.get('reason') ?? '';
  const start = value.indexOf('text="');
  if (start < 0) return undefined;
  let text = '';
  for (let at = start + 'text="'.length; at < value.length && value[at] !== '"'; at += 1) {
    if (value[at] === '\\') at += 1;
    text += value[at] ?? '';
  }
  return text;
}
