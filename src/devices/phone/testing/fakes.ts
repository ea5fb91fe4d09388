import { EventEmitter } from 'node:events';
import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { AskedConnection, ConnectOptions } from '../../../core/core.js';
import { PatchbayError } from '../../../core/errors.js';
import type {
  AskedEvent,
  Device,
  EndReason,
  FailedCall,
  MediaFormats,
  Participant,
  PublishedStream,
} from '../../../core/types.js';
import type { PhoneGate } from '../options.js';
import type { MessageOptions, RequestListener, SipDialog, SipRequest, SipResponse } from '../sip.js';

export const VALID_TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJwIjoiYWxpY2UifQ.YWxpY2U';
export const BOBS_TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJwIjoiYm9iIn0.Ym9i';
export const EXPIRED_TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJwIjoiYWxpY2UifQ.ZXhwaXJlZA';
export const DELETED_TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJwIjoiZ29uZSJ9.ZGVsZXRlZA';

/** A response as the phone would see it. */
interface Sent extends MessageOptions {
  readonly status: number;
}

/** A request of the phone, with what it was answered with. */
export class FakeRequest extends EventEmitter {
  readonly sent: Sent[] = [];
  readonly headers: Record<string, string>;
  readonly source_address: string;
  readonly uri: string;
  /** As drachtio-srf's own dialogs want it. */
  readonly meta = { source: 'network' };
  finalResponseSent = false;

  constructor(
    readonly method: string,
    options: { uri?: string; headers?: Record<string, string>; body?: string; from?: string } = {},
  ) {
    super();
    this.uri = options.uri ?? 'sip:127.0.0.1:5060';
    this.body = options.body ?? '';
    this.source_address = options.from ?? '127.0.0.1';
    this.headers = {
      'call-id': 'call-1',
      cseq: `1 ${method}`,
      from: '"Ann" <sip:+15555550100@voice.example>;tag=a1',
      to: '<sip:127.0.0.1:5060>',
      contact: '<sip:ann@127.0.0.1:5062>',
      ...options.headers,
    };
  }

  readonly body: string;

  get(name: string): string | undefined {
    return this.headers[name.toLowerCase()];
  }

  getParsedHeader(name: string): unknown {
    const value = this.get(name);
    if (value === undefined) throw new Error(`header '${name}' not available`);
    return { uri: value };
  }

  get final(): Sent | undefined {
    return this.sent.find(({ status }) => status >= 200);
  }

  send(status: number, options: MessageOptions, sent?: (error: unknown) => void): void {
    this.sent.push({ status, ...options });
    this.finalResponseSent ||= status >= 200;
    this.emit('answered');
    sent?.(null);
  }
}

type Answering = (options: MessageOptions & { method: string }) => Partial<SipResponse> | Error;

/** The dialog of a call, seen from the phone. */
export class FakeDialog extends EventEmitter {
  readonly id = 'dialog-1';
  readonly type = 'uas';
  readonly req = new FakeRequest('INVITE');
  readonly sip = { callId: 'call-1', localTag: 'ours', remoteTag: 'theirs' };
  readonly local = { contact: '<sip:gateway.example>' };
  remote = { sdp: '' };
  readonly requests: (MessageOptions & { method: string })[] = [];
  /** How the phone answers our requests. */
  answering: Answering = () => ({ status: 200, reason: 'OK' });

  request(
    options: MessageOptions & { method: string },
    callback: (error: unknown, response?: SipResponse) => void,
  ): void {
    this.requests.push(options);
    const answer = this.answering(options);
    if (answer instanceof Error) callback(answer);
    else callback(null, { get: () => undefined, status: 200, reason: '', ...answer });
  }

  destroy(options: MessageOptions, callback: (error: unknown) => void): void {
    this.request({ method: 'BYE', ...options }, callback);
  }

  handle(request: FakeRequest, responder: FakeRequest): void {
    this.emit(request.method === 'INVITE' ? 'modify' : request.method.toLowerCase(), request, responder);
  }

  /** A request of the phone inside the dialog. */
  receive(event: string, request: FakeRequest): FakeRequest {
    this.emit(event, request, request);
    return request;
  }

  get byes(): string[] {
    return this.requests
      .filter(({ method }) => method === 'BYE')
      .map(({ headers }) => headers?.['Reason'] ?? '');
  }
}

/** What a restored dialog sends by: drachtio-srf's connection. */
class FakeAgent {
  readonly requests: (MessageOptions & { method: string })[] = [];
  /** How the phone answers our requests. */
  answering: Answering = () => ({ status: 200, reason: 'OK' });

  request(
    options: MessageOptions & { method: string },
    callback: (error: unknown, request?: EventEmitter) => void,
  ): void {
    this.requests.push(options);
    const answer = this.answering(options);
    if (answer instanceof Error) {
      callback(answer);
      return;
    }
    const request = new EventEmitter();
    callback(null, request);
    request.emit('response', { get: () => undefined, status: 200, reason: '', ...answer }, () => undefined);
  }

  sent(method: string): MessageOptions[] {
    return this.requests.filter((request) => request.method === method);
  }
}

/** Stands for drachtio-srf: hands requests to the application and makes dialogs. */
export class FakeSrf {
  /** Those that the application knows from an earlier process, by id. */
  readonly restored = new Map<string, SipDialog>();
  readonly agent = new FakeAgent();
  /** As drachtio-srf, there is none before it connects. */
  readonly app: { client: FakeAgent | undefined } = { client: undefined };

  addDialog(dialog: SipDialog): void {
    this.restored.set(dialog.id, dialog);
  }

  removeDialog(dialog: SipDialog): void {
    this.restored.delete(dialog.id);
  }

  /** Requests outside of dialogs. */
  readonly outside: (MessageOptions & { method: string })[] = [];

  request(
    _uri: string,
    options: MessageOptions & { method: string },
    callback: (error: unknown) => void,
  ): void {
    this.outside.push(options);
    callback(null);
  }

  readonly handlers = new Map<string, RequestListener>();
  readonly dialogs: FakeDialog[] = [];

  use(method: string, handler: RequestListener): void {
    this.handlers.set(method, handler);
  }

  /** Phones acknowledge a 200 at once, unless its ACK owes an answer. */
  acknowledges = true;

  createUAS(
    request: SipRequest,
    responder: FakeRequest,
    options: { localSdp: string | undefined; headers: Record<string, string> },
    callback: (error: unknown, dialog?: FakeDialog) => void,
  ): void {
    responder.send(200, {
      headers: options.headers,
      ...(options.localSdp !== undefined && { body: options.localSdp }),
    });
    const dialog = new FakeDialog();
    this.dialogs.push(dialog);
    callback(null, dialog);
    if (this.acknowledges && request.body !== '') dialog.emit('ack', new FakeRequest('ACK'));
  }

  /** What becomes of calls that the application places; undefined: they ring. */
  target: FakeDialog | { status: number; reason: string } | undefined;
  readonly placed: { uri: string; localSdp: string; headers: Record<string, string> }[] = [];
  /** To and body of what comes before their answer. */
  provisional: (readonly [to: string, body: string])[] = [];
  cancelled = 0;

  createUAC(
    uri: string,
    options: { localSdp: string; headers: Record<string, string> },
    progress: {
      cbRequest: (error: unknown, request: object) => void;
      cbProvisional?: (response: SipResponse) => void;
    },
    callback: (error: unknown, dialog?: FakeDialog) => void,
  ): void {
    this.placed.push({ uri, ...options });
    const cancel = (): void => {
      this.cancelled += 1;
      callback({ status: 487, reason: 'Request Terminated' });
    };
    progress.cbRequest(null, { cancel });
    for (const [to, body] of this.provisional) {
      progress.cbProvisional?.({
        status: 183,
        reason: '',
        body,
        get: (name) => (/^to$/i.test(name) ? to : undefined),
      });
    }
    if (this.target instanceof FakeDialog) callback(null, this.target);
    else if (this.target) callback(this.target);
  }

  receive(request: FakeRequest): FakeRequest {
    this.handlers.get(request.method.toLowerCase())?.(request, request);
    return request;
  }

  get srf(): Srf {
    return this as unknown as Srf;
  }
}

/** A core with two participants, `alice` and `bob`. */
export class FakeGate implements PhoneGate {
  readonly devices = new Map<string, Device>();
  readonly published = new Map<string, readonly PublishedStream[]>();
  readonly ends: EndReason[] = [];
  readonly digits: string[] = [];
  readonly holds: boolean[] = [];
  /** By participant: how the device's media were carried when it connected. */
  readonly connectedWith = new Map<string, MediaFormats>();
  /** Runs inside {@link connect}, after the device is connected. */
  onConnect: ((device: Device) => void) | undefined;

  readonly failed: { readonly participantId: string; readonly call: FailedCall }[] = [];
  /** What the participants' application asked for. */
  events: readonly AskedEvent[] = [];

  callFailed({ id: participantId }: Pick<Participant, 'id'>, call: FailedCall): void {
    this.failed.push({ participantId, call });
  }

  async authenticate(token: string, options?: { readonly ignoreExpiry?: boolean }): Promise<Participant> {
    await Promise.resolve();
    switch (token) {
      case VALID_TOKEN:
        return this.#participant('alice');
      case BOBS_TOKEN:
        return this.#participant('bob');
      case EXPIRED_TOKEN:
        if (options?.ignoreExpiry) return this.#participant('alice');
        throw new PatchbayError('PATCHBAY_TOKEN_EXPIRED', 'The token has expired.');
      case DELETED_TOKEN:
        throw new PatchbayError('PATCHBAY_PARTICIPANT_NOT_FOUND', 'There is no such participant.');
      default:
        throw new PatchbayError('PATCHBAY_TOKEN_INVALID', 'The token is not valid.');
    }
  }

  registerKind(): void {
    // Nobody counts here.
  }

  /** There is room for everybody. */
  admitDevice(): Promise<void> {
    return Promise.resolve();
  }

  participantOf(participantId: string): Promise<Participant | undefined> {
    return Promise.resolve(this.deleted.has(participantId) ? undefined : this.#participant(participantId));
  }

  /** Participants that were deleted. */
  readonly deleted = new Set<string>();
  /** How each device connected. */
  readonly connects: [participantId: string, options: ConnectOptions][] = [];

  connect({ id: participantId }: Participant, device: Device, options: ConnectOptions): AskedConnection {
    this.connects.push([participantId, options]);
    const present = this.devices.get(participantId)?.info.id;
    const isTaken = present !== undefined && present !== options.replace;
    const admitted = isTaken
      ? Promise.reject(
          new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'The participant is connected already.'),
        )
      : Promise.resolve();
    const connection = this.#connection(participantId, admitted);
    if (isTaken) return { ...connection, publish: () => undefined, end: () => undefined };
    this.devices.get(participantId)?.close('replaced');
    this.devices.set(participantId, device);
    this.connectedWith.set(participantId, device.formats);
    this.onConnect?.(device);
    return connection;
  }

  #connection(participantId: string, admitted: Promise<void>): AskedConnection {
    return {
      admitted,
      participant: this.#participant(participantId),
      publish: (streams) => void this.published.set(participantId, streams),
      signallingLost: () => undefined,
      signallingResumed: () => undefined,
      measured: () => undefined,
      levels: () => undefined,
      speaking: () => undefined,
      dtmf: (digit) => void this.digits.push(digit),
      hold: (held) => void this.holds.push(held),
      formatsChanged: () => undefined,
      omit: () => undefined,
      saveResumePoint: () => undefined,
      end: (reason) => {
        this.ends.push(reason);
        this.devices.delete(participantId);
      },
    };
  }

  connectedDevice(participantId: string): Promise<Device['info'] | undefined> {
    return Promise.resolve(this.devices.get(participantId)?.info);
  }

  #participant(id: string): Participant {
    return {
      id,
      accountId: '9900000',
      sessionId: `session-of-${id}`,
      publishPermissions: ['audio'],
      deviceApiVersion: 'V3',
      events: this.events,
      subscriptions: {},
      createdAt: 0,
      expiresAt: Number.MAX_SAFE_INTEGER,
    };
  }
}

/** A logger that keeps its lines. */
export function recordingLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  return { log: pino({ level: 'debug' }, { write: (line) => void lines.push(line) }), lines };
}
