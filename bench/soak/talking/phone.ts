import { once } from 'node:events';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { hear, type HeardMessage } from '../../../test/support/sip-peer.js';
import { phoneOffer } from '../../../test/support/sipp.js';
import { type Address, addressOf, mediaAddressOf, targetOf } from './addresses.js';
import type { Hearing } from './hearing.js';
import type { SeenCall } from './seen-call.js';
import type { Talker } from './talker.js';
import { Tones } from './tones.js';
import { NotAnswered, Transactions } from './transactions.js';

/** Shortest session interval of RFC 4028, for phones with a session timer. */
const INTERVAL_S = 90;
/** Four times in an interval, since the gateway may be dead for some of them. */
const REFRESH_MS = (INTERVAL_S * 1000) / 4;

/** A call's dialog, from the phone's side. */
interface PhoneDialog {
  readonly seen: SeenCall;
  readonly callId: string;
  readonly fromTag: string;
  readonly fields: { cseq: number; toTag: string; target: string; version: number };
}

interface PhoneOptions {
  /** Its own address. */
  readonly host: string;
  /** Where it calls. */
  readonly gateway: Address;
  readonly tone: number;
  /** Makes Call-IDs differ from those of other runs. */
  readonly run: string;
}

/**
 * A phone that talks: SIP over UDP with retransmissions, since the gateway may be dead at any moment, and a tone. Every
 * second one has a session timer. It follows a dialog to another gateway.
 */
export class SoakPhone implements Talker {
  readonly tones: Tones;
  readonly tone: number;
  /** All its calls. */
  readonly calls: SeenCall[] = [];
  readonly #socket: Socket;
  readonly #host: string;
  readonly #gateway: Address;
  readonly #name: string;
  readonly #transactions = new Transactions();
  /** Our 200s to requests of the gateway, by branch, for retransmissions. */
  readonly #answered = new Map<string, string>();
  #dialog: PhoneDialog | undefined;
  #onBye: (() => void) | undefined;
  #refreshing: NodeJS.Timeout | undefined;
  #branches = 0;

  private constructor(options: PhoneOptions, socket: Socket, tones: Tones) {
    this.#socket = socket;
    this.#host = options.host;
    this.#gateway = options.gateway;
    this.tone = options.tone;
    this.#name = `phone-${options.run}-${options.tone}`;
    this.tones = tones;
    this.#socket.on('message', (bytes, from) => this.#take(hear(bytes.toString('latin1')), from));
  }

  static async open(options: PhoneOptions): Promise<SoakPhone> {
    const socket = createSocket('udp4');
    socket.bind(0, options.host);
    await once(socket, 'listening');
    return new SoakPhone(options, socket, await Tones.open(options.tone, options.host));
  }

  get hearing(): Hearing {
    return this.tones.hearing;
  }

  talk(): void {
    this.tones.send();
  }

  get isInCall(): boolean {
    return this.#dialog !== undefined;
  }

  /** Where the present call is; of no call: where it calls. */
  get gatewayHost(): string {
    return this.#dialog ? addressOf(this.#dialog.fields.target).host : this.#gateway.host;
  }

  get callId(): string | undefined {
    return this.#dialog?.callId;
  }

  /** Calls. @throws NotAnswered when it is refused, or there is no answer */
  async call(token: string): Promise<void> {
    const callId = `${this.#name}-${this.calls.length}`;
    const seen: SeenCall = { callId, phone: this.tone, invitedAt: performance.now() };
    this.calls.push(seen);
    const { host, port } = this.#gateway;
    const fields = { cseq: 1, toTag: '', target: `sip:gateway@${host}:${port}`, version: 1 };
    const dialog: PhoneDialog = { seen, callId, fromTag: `tag-${callId}`, fields };
    const final = await this.#request(dialog, 'INVITE', {
      headers: [`User-to-User: ${token};encoding=jwt`, ...this.#timerHeaders()],
      body: this.#description(1),
    });
    if (final.status !== 200) {
      seen.trouble = final.startLine;
      throw new NotAnswered(final.status, final.startLine);
    }
    seen.answeredAt = performance.now();
    fields.toTag = /;tag=([^;\s]+)/.exec(final.header('to')[0] ?? '')?.[1] ?? '';
    fields.target = targetOf(final) ?? fields.target;
    this.#dialog = dialog;
    this.#acknowledge(dialog, final);
    this.tones.start(mediaAddressOf(final.body));
    if (this.#refresher === 'uac') this.#refreshing = setInterval(() => this.#refresh(dialog), REFRESH_MS);
  }

  /** RFC 4028 section 7.2. If it fails, as the gateway may be dead, there is time for the next one. */
  #refresh({ seen }: PhoneDialog): void {
    this.offerAgain().catch((error: unknown) => {
      seen.failedRefresh = String(error);
    });
  }

  /** Offers its media again, as they are. */
  async offerAgain(): Promise<void> {
    const dialog = this.#dialog;
    if (!dialog) return;
    dialog.fields.version += 1;
    const final = await this.#request(dialog, 'INVITE', {
      headers: this.#timerHeaders(),
      body: this.#description(dialog.fields.version),
    });
    if (final.status !== 200) throw new NotAnswered(final.status, `re-INVITE: ${final.startLine}`);
    this.#acknowledge(dialog, final);
  }

  /** Hangs up; resolves when its BYE is answered. */
  async hangUp(): Promise<void> {
    const dialog = this.#dialog;
    if (!dialog) return;
    dialog.seen.byeAt = performance.now();
    const final = await this.#request(dialog, 'BYE', {});
    if (final.status !== 200) dialog.seen.trouble = `BYE: ${final.startLine}`;
    this.#isOver(dialog);
  }

  /** REST is asked to end the call. Resolves when the gateway has hung up. @throws Error when it does not */
  async removed(withinMs: number): Promise<void> {
    if (!this.#dialog) return;
    this.#dialog.seen.removedAt = performance.now();
    const bye = new Promise<void>((resolve) => (this.#onBye = resolve));
    const cancel = new AbortController();
    const limit = sleep(withinMs, undefined, { signal: cancel.signal }).then(() => {
      throw new Error('There was no BYE from the gateway.');
    });
    try {
      await Promise.race([bye, limit]);
    } finally {
      cancel.abort();
      limit.catch(() => undefined);
    }
  }

  close(): void {
    clearInterval(this.#refreshing);
    this.tones.close();
    this.#socket.close();
  }

  #description(version: number): string {
    return phoneOffer(this.tones.port, { version, host: this.#host });
  }

  #timerHeaders(): string[] {
    return this.#refresher
      ? ['Supported: timer', `Session-Expires: ${INTERVAL_S};refresher=${this.#refresher}`]
      : [];
  }

  /** Who refreshes its session timer; undefined: it has none. */
  get #refresher(): 'uas' | 'uac' | undefined {
    if (this.tone % 2 === 0) return undefined;
    return this.tone % 4 === 1 ? 'uas' : 'uac';
  }

  #isOver(dialog: PhoneDialog): void {
    dialog.seen.overAt ??= performance.now();
    if (this.#dialog !== dialog) return;
    this.#dialog = undefined;
    clearInterval(this.#refreshing);
    this.tones.stop();
    this.#onBye?.();
    this.#onBye = undefined;
  }

  /** @throws NotAnswered when no final answer comes */
  async #request(
    dialog: PhoneDialog,
    method: string,
    { headers = [], body = '' }: { headers?: readonly string[]; body?: string },
  ): Promise<HeardMessage> {
    const branch = `z9hG4bK-${this.#name}-${++this.#branches}`;
    const cseq = dialog.fields.cseq;
    dialog.fields.cseq += 1;
    const text = this.#write(dialog, method, cseq, branch, headers, body);
    // Another gateway may have taken the dialog over meanwhile.
    const transmit = (): void => this.#send(text, addressOf(dialog.fields.target));
    return this.#transactions.request(branch, method, transmit, `${method} of ${dialog.callId}`);
  }

  /** Acknowledges a 2xx to an INVITE. */
  #acknowledge(dialog: PhoneDialog, answer: HeardMessage): void {
    const branch = `z9hG4bK-${this.#name}-${++this.#branches}`;
    this.#send(this.#write(dialog, 'ACK', cseqOf(answer), branch), addressOf(dialog.fields.target));
  }

  #write(
    { callId, fromTag, fields }: PhoneDialog,
    method: string,
    cseq: number,
    branch: string,
    headers: readonly string[] = [],
    body = '',
  ): string {
    const at = `${this.#host}:${this.#socket.address().port}`;
    return [
      `${method} ${fields.target} SIP/2.0`,
      `Via: SIP/2.0/UDP ${at};branch=${branch};rport`,
      'Max-Forwards: 70',
      `From: <sip:${this.#name}@${this.#host}>;tag=${fromTag}`,
      `To: <sip:gateway@${this.#gateway.host}>${fields.toTag === '' ? '' : `;tag=${fields.toTag}`}`,
      `Call-ID: ${callId}`,
      `CSeq: ${cseq} ${method}`,
      `Contact: <sip:${this.#name}@${at}>`,
      ...headers,
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
  }

  #take(message: HeardMessage, from: RemoteInfo): void {
    if (message.status > 0) this.#takeResponse(message, from);
    else this.#takeRequest(message, from);
  }

  #takeResponse(response: HeardMessage, from: RemoteInfo): void {
    const branch = /;branch=([^;\s,]+)/.exec(response.header('via')[0] ?? '')?.[1] ?? '';
    const isInvite = response.header('cseq')[0]?.endsWith('INVITE') ?? false;
    const isKnown = this.#transactions.take(branch, response);
    if (response.status < 200 || !isInvite) return;
    if (response.status >= 300) {
      if (isKnown) this.#acknowledgeRefusal(response, branch, from);
    } else if (!isKnown && this.#dialog && response.header('call-id')[0] === this.#dialog.callId) {
      // Its ACK was lost with the gateway.
      this.#acknowledge(this.#dialog, response);
    }
  }

  /** RFC 3261, section 17.1.1.3. */
  #acknowledgeRefusal(response: HeardMessage, branch: string, to: RemoteInfo): void {
    const at = `${this.#host}:${this.#socket.address().port}`;
    const copied = ['From', 'To', 'Call-ID'].map((name) => `${name}: ${response.header(name)[0] ?? ''}`);
    this.#send(
      [
        `ACK sip:gateway@${this.#gateway.host}:${this.#gateway.port} SIP/2.0`,
        `Via: SIP/2.0/UDP ${at};branch=${branch};rport`,
        'Max-Forwards: 70',
        ...copied,
        `CSeq: ${cseqOf(response)} ACK`,
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
      { host: to.address, port: to.port },
    );
  }

  #takeRequest(request: HeardMessage, { address: host, port }: RemoteInfo): void {
    if (request.method === 'ACK') return;
    const branch = `${/;branch=([^;\s,]+)/.exec(request.header('via')[0] ?? '')?.[1] ?? ''} ${request.method}`;
    const known = this.#answered.get(branch);
    if (known !== undefined) {
      this.#send(known, { host, port });
      return;
    }
    const dialog = this.#dialog;
    const isOurs = dialog !== undefined && request.header('call-id')[0] === dialog.callId;
    const offers = request.body !== '';
    if (isOurs && offers) this.#follow(dialog, request);
    const body =
      isOurs && (offers || request.method === 'INVITE') ? this.#description(dialog.fields.version) : '';
    const refresh = request.header('session-expires');
    const text = [
      isOurs || this.#knows(request) ? 'SIP/2.0 200 OK' : 'SIP/2.0 481 Call/Transaction Does Not Exist',
      ...request.header('via').map((via) => `Via: ${via}`),
      ...['From', 'To', 'Call-ID', 'CSeq'].map((name) => `${name}: ${request.header(name)[0] ?? ''}`),
      `Contact: <sip:${this.#name}@${this.#host}:${this.#socket.address().port}>`,
      ...(refresh.length > 0 ? [`Session-Expires: ${refresh[0]!}`, 'Require: timer'] : []),
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
    this.#answered.set(branch, text);
    this.#send(text, { host, port });
    if (request.method !== 'BYE' || !isOurs) return;
    const { seen } = dialog;
    if (seen.byeAt === undefined && seen.removedAt === undefined) seen.isHungUpUnasked = true;
    seen.byeAt ??= performance.now();
    this.#isOver(dialog);
  }

  /** RFC 3261 section 12.2.2: the other end says where it is now, and what it offers. */
  #follow({ fields }: PhoneDialog, request: HeardMessage): void {
    fields.version += 1;
    fields.target = targetOf(request) ?? fields.target;
    this.tones.redirect(mediaAddressOf(request.body));
  }

  /** Whether it belongs to a call that is over: both sides may hang up at the same time. */
  #knows(request: HeardMessage): boolean {
    return this.calls.some(({ callId }) => callId === request.header('call-id')[0]);
  }

  #send(text: string, { host, port }: Address): void {
    this.#socket.send(Buffer.from(text, 'latin1'), port, host);
  }
}

const cseqOf = (message: HeardMessage): number => Number.parseInt(message.header('cseq')[0] ?? '', 10);
