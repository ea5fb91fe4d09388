import { randomUUID } from 'node:crypto';
import type { Essentials } from '../message/essentials.js';
import { Headers } from '../message/headers.js';
import { NO_BODY, type SipRequest, type SipResponse } from '../message/message.js';
import { parseNameAddr, parseNameAddrs, parseSipUri } from '../message/uri.js';
import type { Flow } from '../transport/flow.js';
import { findFlow } from '../transport/locate.js';
import type { Transports } from '../transport/transports.js';

/** What the admin protocol carries unharmed: printable, and none of its separators. */
const SAFE_ID = /^[!-{}~]{1,300}$/;

/** The state of one dialog (RFC 3261 section 12): whom it joins, by which way, and the numbers of its requests. */
export class Dialog {
  readonly id: string;
  readonly role: 'uas' | 'uac';
  /** The method that made it: INVITE or SUBSCRIBE. */
  readonly method: string;
  readonly callId: string;
  readonly localTag: string;
  remoteTag: string;
  /** From and To as requests of ours carry them, tags included. */
  readonly #localParty: string;
  #remoteParty: string;
  /** Proxies between, nearest to us first. */
  #routeSet: string[] = [];
  #remoteTarget: string;
  #localSequence: number;
  #remoteSequence: number | undefined;
  /** Number of our last INVITE, for its ACK. */
  #inviteSequence: number;
  state: 'early' | 'confirmed' | 'ended' = 'early';
  /** The flow on which the peer was last heard. */
  flow: Flow;
  /** Our Contact of this dialog, for requests that need one. */
  localContact: string;
  /** The session description that we last sent, for refreshes of the session. */
  localSdp: Buffer = NO_BODY;

  private constructor(parts: {
    id: string;
    role: 'uas' | 'uac';
    method: string;
    callId: string;
    localTag: string;
    remoteTag: string;
    localParty: string;
    remoteParty: string;
    remoteTarget: string;
    localSequence: number;
    remoteSequence: number | undefined;
    flow: Flow;
    localContact: string;
  }) {
    this.id = parts.id;
    this.role = parts.role;
    this.method = parts.method;
    this.callId = parts.callId;
    this.localTag = parts.localTag;
    this.remoteTag = parts.remoteTag;
    this.#localParty = parts.localParty;
    this.#remoteParty = parts.remoteParty;
    this.#remoteTarget = parts.remoteTarget;
    this.#localSequence = parts.localSequence;
    this.#inviteSequence = parts.localSequence;
    this.#remoteSequence = parts.remoteSequence;
    this.flow = parts.flow;
    this.localContact = parts.localContact;
  }

  /** The dialog that answering a request makes (section 12.1.1). */
  static asServer(
    id: string,
    request: SipRequest,
    essentials: Essentials,
    localTag: string,
    flow: Flow,
    localContact: string,
  ): Dialog {
    const dialog = new Dialog({
      id,
      role: 'uas',
      method: request.method,
      callId: essentials.callId,
      localTag,
      remoteTag: essentials.fromTag,
      localParty: `${request.headers.get('to') ?? ''};tag=${localTag}`,
      remoteParty: request.headers.get('from') ?? '',
      remoteTarget: contactUri(request) ?? essentials.from.uri,
      localSequence: 0,
      remoteSequence: essentials.cseq.number,
      flow,
      localContact,
    });
    dialog.#routeSet = request.headers.all('record-route');
    return dialog;
  }

  /** The dialog that a response to a request of ours makes (section 12.1.2). */
  static asClient(
    id: string,
    request: SipRequest,
    response: SipResponse,
    tags: { local: string; remote: string },
    flow: Flow,
  ): Dialog {
    const cseq = Number.parseInt(request.headers.get('cseq') ?? '', 10);
    const dialog = new Dialog({
      id,
      role: 'uac',
      method: request.method,
      callId: request.headers.get('call-id') ?? '',
      localTag: tags.local,
      remoteTag: tags.remote,
      localParty: request.headers.get('from') ?? '',
      remoteParty: response.headers.get('to') ?? '',
      remoteTarget: contactUri(response) ?? request.uri,
      localSequence: cseq,
      remoteSequence: undefined,
      flow,
      localContact: request.headers.get('contact') ?? '',
    });
    dialog.#takeRoutes(response);
    return dialog;
  }

  /** How tables find it. */
  get key(): string {
    return dialogKey(this.callId, this.localTag, this.remoteTag);
  }

  get remoteTarget(): string {
    return this.#remoteTarget;
  }

  /** The number that the ACK for a 2xx to our last INVITE carries. */
  get unacknowledged(): number {
    return this.#inviteSequence;
  }

  /** The URI that a request of this dialog is sent to first. */
  get nextHop(): string {
    const first = this.#routes()[0];
    return first?.uri ?? this.#remoteTarget;
  }

  get hasRoutes(): boolean {
    return this.#routeSet.length > 0;
  }

  /** A 2xx to a request of ours settles the route set and the peer's target (sections 12.1.2 and 13.2.2.4). */
  confirmAsClient(response: SipResponse): void {
    if (this.state === 'early') this.#takeRoutes(response);
    this.#remoteParty = response.headers.get('to') ?? this.#remoteParty;
    this.refreshTarget(response);
    this.state = 'confirmed';
  }

  /** A target refresh came with a request or a 2xx (section 12.2). */
  refreshTarget(message: SipRequest | SipResponse): void {
    this.#remoteTarget = contactUri(message) ?? this.#remoteTarget;
  }

  /** Whether a request of the peer's comes in order; keeps its number when it does (section 12.2.2). */
  admits(sequence: number): boolean {
    if (this.#remoteSequence !== undefined && sequence < this.#remoteSequence) return false;
    this.#remoteSequence = sequence;
    return true;
  }

  /** The next request of ours (section 12.2.1.1), without Via. An ACK is given the number of its INVITE. */
  request(method: string, sequence?: number): SipRequest {
    const number = sequence ?? ++this.#localSequence;
    if (method === 'INVITE') this.#inviteSequence = number;
    const headers = new Headers();
    const uri = this.#addRoutes(headers);
    headers.add('Max-Forwards', '70');
    headers.add('From', this.#localParty);
    headers.add('To', this.#remoteParty);
    headers.add('Call-ID', this.callId);
    headers.add('CSeq', `${number} ${method}`);
    return { kind: 'request', method, uri, headers, body: NO_BODY };
  }

  #addRoutes(headers: Headers): string {
    const routes = this.#routes();
    const [first, ...rest] = routes;
    if (!first) return this.#remoteTarget;
    if (parseSipUri(first.uri)?.params.has('lr') === true) {
      for (const route of routes) headers.add('Route', `<${route.uri}>`);
      return this.#remoteTarget;
    }
    // A strict router wants itself in the Request-URI and the target at the end of the route.
    for (const route of rest) headers.add('Route', `<${route.uri}>`);
    headers.add('Route', `<${this.#remoteTarget}>`);
    return first.uri;
  }

  #routes(): { uri: string }[] {
    return parseNameAddrs(this.#routeSet) ?? [];
  }

  #takeRoutes(response: SipResponse): void {
    const routes = parseNameAddrs(response.headers.all('record-route')) ?? [];
    this.#routeSet = routes.reverse().map(({ uri }) => `<${uri}>`);
  }
}

/** The key of a dialog, seen from our side. */
export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return `${callId}|${localTag}|${remoteTag}`;
}

function contactUri(message: SipRequest | SipResponse): string | undefined {
  const value = message.headers.get('contact');
  if (value === undefined) return undefined;
  const uri = (parseNameAddrs([value])?.[0] ?? parseNameAddr(value))?.uri;
  return uri !== undefined && parseSipUri(uri) ? uri : undefined;
}

/** All dialogs of the server, by id and by what the messages of a dialog carry. Bounded. */
export class Dialogs {
  readonly #byId = new Map<string, Dialog>();
  readonly #byKey = new Map<string, Dialog>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byId.size;
  }

  get full(): boolean {
    return this.#byId.size >= this.#limit;
  }

  /**
   * The id of a new dialog: of Call-ID and tag of the From that began it, as applications look for dialogs by just
   * that (drachtio-srf's `findDialogByCallIDAndFromTag`); by chance where that is taken or cannot be told.
   */
  newId(callId: string, fromTag: string): string {
    const id = `${callId};from-tag=${fromTag}`;
    return SAFE_ID.test(id) && !this.#byId.has(id) ? id : randomUUID();
  }

  add(dialog: Dialog): void {
    this.#byId.set(dialog.id, dialog);
    this.#byKey.set(dialog.key, dialog);
  }

  byId(id: string): Dialog | undefined {
    return this.#byId.get(id);
  }

  byKey(key: string): Dialog | undefined {
    return this.#byKey.get(key);
  }

  remove(dialog: Dialog): void {
    dialog.state = 'ended';
    this.#byId.delete(dialog.id);
    this.#byKey.delete(dialog.key);
  }
}

/**
 * The flow for a request inside a dialog. A peer without proxies between is reached by the way that it came:
 * over its open connection, or at its source address when its Contact names another one, as behind NAT.
 */
export function findDialogFlow(
  transports: Transports,
  dialog: Dialog,
  request: SipRequest,
  found: (flow: Flow | Error) => void,
): void {
  const { flow } = dialog;
  if (!dialog.hasRoutes) {
    const target = parseSipUri(dialog.remoteTarget);
    const sameHost = target?.host === flow.remote.host;
    if (flow.reliable ? flow.open : !sameHost) {
      found(flow);
      return;
    }
    findFlow(transports, dialog.nextHop, request, (way) =>
      // There is no way to where its Contact leads.
      found(way instanceof Error && flow.open ? flow : way),
    );
    return;
  }
  findFlow(transports, dialog.nextHop, request, found);
}
