import { randomUUID } from 'node:crypto';
import type { Essentials } from '../message/essentials.js';
import { Headers } from '../message/headers.js';
import { NO_BODY, type SipRequest, type SipResponse } from '../message/message.js';
import { parseNameAddr, parseNameAddrs, parseSipUri } from '../message/uri.js';
import type { Flow } from '../transport/flow.js';
import { findFlow } from '../transport/locate.js';
import type { Transports } from '../transport/transports.js';
import type { SavedDialog } from './saved-dialog.js';

/** Ids that the admin protocol can carry: printable, without its separators. */
const SAFE_ID = /^[!-{}~]{1,300}$/;

/**
 * A restored dialog goes on so much higher: requests sent after it was saved had the numbers in between. Gaps are allowed
 * (RFC 3261 section 12.2.2).
 */
export const SEQUENCE_JUMP = 1000;

/** The state of one dialog (RFC 3261 section 12): tags, route set, remote target and sequence numbers. */
export class Dialog {
  readonly id: string;
  readonly role: 'uas' | 'uac';
  /** The method that created it: INVITE or SUBSCRIBE. */
  readonly method: string;
  readonly callId: string;
  readonly localTag: string;
  remoteTag: string;
  /** From and To of our requests, with tags. */
  readonly #localParty: string;
  #remoteParty: string;
  /** The route set, the nearest proxy first. */
  #routeSet: string[] = [];
  #remoteTarget: string;
  #localSequence: number;
  #remoteSequence: number | undefined;
  /** CSeq number of our last INVITE, for its ACK. */
  #inviteSequence: number;
  state: 'early' | 'confirmed' | 'ended' = 'early';
  /** The flow on which the peer's last message came. */
  flow: Flow;
  /** Our Contact in this dialog. */
  localContact: string;
  /** The session description that we sent last; session refreshes repeat it. */
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

  /** The dialog that our response creates (section 12.1.1). */
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

  /** The dialog that a response to our request creates (section 12.1.2). */
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

  /** The dialog that another process has saved. */
  static restore(saved: SavedDialog, flow: Flow): Dialog {
    const dialog = new Dialog({
      ...saved,
      method: 'INVITE',
      localSequence: saved.localSequence + SEQUENCE_JUMP,
      remoteSequence: saved.remoteSequence,
      flow,
    });
    dialog.#routeSet = [...saved.routeSet];
    dialog.#inviteSequence = saved.inviteSequence;
    dialog.localSdp = Buffer.from(saved.localSdp, 'latin1');
    dialog.state = 'confirmed';
    return dialog;
  }

  /** Its own part of a {@link SavedDialog}. */
  save(): Omit<SavedDialog, 'tags' | 'peerAllowsUpdate' | 'session' | 'unacknowledged'> {
    const { transport, local, remote } = this.flow;
    return {
      id: this.id,
      role: this.role,
      callId: this.callId,
      localTag: this.localTag,
      remoteTag: this.remoteTag,
      localParty: this.#localParty,
      remoteParty: this.#remoteParty,
      routeSet: this.#routeSet,
      remoteTarget: this.#remoteTarget,
      localSequence: this.#localSequence,
      inviteSequence: this.#inviteSequence,
      ...(this.#remoteSequence !== undefined && { remoteSequence: this.#remoteSequence }),
      localContact: this.localContact,
      localSdp: this.localSdp.toString('latin1'),
      transport,
      local: { host: local.host, port: local.port },
      remote: { host: remote.host, port: remote.port },
    };
  }

  /** Its key in `Dialogs`. */
  get key(): string {
    return dialogKey(this.callId, this.localTag, this.remoteTag);
  }

  get remoteTarget(): string {
    return this.#remoteTarget;
  }

  /** The CSeq number of our last INVITE, which the ACK for its 2xx carries. */
  get unacknowledged(): number {
    return this.#inviteSequence;
  }

  /** The URI to which requests of this dialog are sent. */
  get nextHop(): string {
    const first = this.#routes()[0];
    return first?.uri ?? this.#remoteTarget;
  }

  get hasRoutes(): boolean {
    return this.#routeSet.length > 0;
  }

  /** A 2xx to our request fixes the route set and the remote target (sections 12.1.2 and 13.2.2.4). */
  confirmAsClient(response: SipResponse): void {
    if (this.state === 'early') this.#takeRoutes(response);
    this.#remoteParty = response.headers.get('to') ?? this.#remoteParty;
    this.refreshTarget(response);
    this.state = 'confirmed';
  }

  /** Takes the remote target from a target refresh request or its 2xx (section 12.2). */
  refreshTarget(message: SipRequest | SipResponse): void {
    this.#remoteTarget = contactUri(message) ?? this.#remoteTarget;
  }

  /** Whether the peer's request is in order. If it is, its number is stored (section 12.2.2). */
  admits(sequence: number): boolean {
    if (this.#remoteSequence !== undefined && sequence < this.#remoteSequence) return false;
    this.#remoteSequence = sequence;
    return true;
  }

  /** Our next request (section 12.2.1.1), without Via. `sequence` is given for an ACK: the number of its INVITE. */
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
    // A strict router takes its own URI as the Request-URI and the remote target as the last Route.
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

/** The key of a dialog, from our side. */
export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return `${callId}|${localTag}|${remoteTag}`;
}

function contactUri(message: SipRequest | SipResponse): string | undefined {
  const value = message.headers.get('contact');
  if (value === undefined) return undefined;
  const uri = (parseNameAddrs([value])?.[0] ?? parseNameAddr(value))?.uri;
  return uri !== undefined && parseSipUri(uri) ? uri : undefined;
}

/** All dialogs of the server, by id and by Call-ID and tags. Bounded. */
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
   * The id of a new dialog: its Call-ID and the tag of the From that created it, since applications look dialogs up
   * by these (drachtio-srf's `findDialogByCallIDAndFromTag`). A random id if that one is taken or cannot be sent.
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
 * Finds the flow for a request inside a dialog. Without proxies in between, it is the way that the peer's messages
 * came: its open connection, or its source address if its Contact names another one (NAT).
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
      // The Contact's address cannot be reached.
      found(way instanceof Error && flow.open ? flow : way),
    );
    return;
  }
  findFlow(transports, dialog.nextHop, request, found);
}
