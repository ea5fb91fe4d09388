import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { Caller, type HeardMessage, SDP, SipPeer } from '../../../test/support/sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from '../../../test/support/sip-server.js';
import type { SavedDialog, SipServer } from '../index.js';

type Request = Srf.SrfRequest & { stackDialogId: string };

interface Client {
  request(
    options: object,
    callback: (
      error: Error | null,
      request?: {
        on(event: string, listener: (response: { status: number }, ack: () => void) => void): void;
      },
    ) => void,
  ): void;
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A SIP server with an application and a caller over UDP, which dies and is started again on the same ports. */
class RestartStage {
  server!: SipServer;
  peer!: SipPeer;
  caller!: Caller;
  /** What was known of each dialog, the newest last; as JSON, as it is kept. */
  kept: string[] = [];
  /** Requests that the application got from the present process. */
  heardByApp: Request[] = [];
  readonly cleanups: (() => unknown)[] = [];
  readonly #tls: Pair | undefined;
  #srf: Srf | undefined;

  constructor(tls?: Pair) {
    this.#tls = tls;
  }

  async start(): Promise<void> {
    this.kept = [];
    this.heardByApp = [];
    const transports = ['udp', 'tcp', ...(this.#tls ? (['tls'] as const) : [])] as const;
    await this.#serve(transports.map((transport) => ({ transport, host: '127.0.0.1', port: 0 })));
    await this.connect();
    this.peer = await SipPeer.udp(addressOf(this.server, 'udp'));
    this.caller = new Caller(this.peer);
    this.cleanups.push(() => this.peer.close());
  }

  async stop(): Promise<void> {
    for (const cleanup of this.cleanups.splice(0)) await cleanup();
    this.#disconnect();
    await this.server.stop();
  }

  /** The process is gone: its sockets are closed, and it sends nothing more. Another one takes its ports. */
  async restart(
    options: { connect?: boolean; during?: () => unknown; restored?: readonly unknown[] } = {},
  ): Promise<void> {
    const { sipAddresses } = this.server;
    const restored = options.restored ?? [this.lastSaved()];
    this.#disconnect();
    await this.server.stop();
    await options.during?.();
    this.heardByApp = [];
    await this.#serve(sipAddresses, restored);
    if (options.connect !== false) await this.connect();
  }

  /** Connects the application, which accepts every call and every request. */
  async connect(): Promise<void> {
    const take = (req: Srf.SrfRequest, res: Srf.SrfResponse, body?: string): void => {
      this.heardByApp.push(req as Request);
      if (req.method !== 'ACK') res.send(200, body === undefined ? {} : { body });
    };
    const answering = (app: Srf): void => {
      app.invite((req, res) => {
        if (/;tag=/.test(req.get('To'))) take(req, res, SDP);
        else void app.createUAS(req, res, { localSdp: SDP }).catch(() => undefined);
      });
      for (const method of ['bye', 'info', 'update', 'ack'])
        app.use(method, (req: Srf.SrfRequest, res: Srf.SrfResponse) => take(req, res));
    };
    this.#srf = await connectApp(this.server, answering, ['calls']);
  }

  lastSaved(): SavedDialog {
    return JSON.parse(this.kept.at(-1)!) as SavedDialog;
  }

  async call(headers: string[] = []): Promise<HeardMessage> {
    const { caller } = this;
    caller.peer.send(caller.request('INVITE', 1, { body: SDP, headers }));
    const ok = await caller.peer.final();
    expect(ok.status).toBe(200);
    caller.learn(ok);
    return ok;
  }

  async acknowledge(): Promise<void> {
    this.caller.peer.send(this.caller.request('ACK', 1));
    await expect.poll(() => this.kept.length > 0 && this.lastSaved().unacknowledged).toBeUndefined();
  }

  /** The application sends a request in the dialog. */
  send(method: string, body = ''): Promise<{ status: number }> {
    const { client } = (this.#srf as unknown as { _app: { client: Client } })._app;
    const final = deferred<{ status: number }>();
    client.request({ method, body, headers: {}, stackDialogId: this.lastSaved().id }, (error, request) => {
      if (error) throw error;
      request!.on('response', (response, ack) => {
        if (response.status < 200) return;
        if (method === 'INVITE') ack();
        final.resolve(response);
      });
    });
    return final.promise;
  }

  reply(request: HeardMessage, status: string, headers: string[] = [], by = this.peer): void {
    const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map(
      (name) => `${name}: ${request.header(name)[0]!}`,
    );
    by.send([`SIP/2.0 ${status}`, ...echo, ...headers, 'Content-Length: 0', '', ''].join('\r\n'));
  }

  async #serve(addresses: SipServer['sipAddresses'], restored?: readonly unknown[]): Promise<void> {
    const tls = this.#tls;
    this.server = await testServer({
      listeners: addresses.map((address) => ({
        ...address,
        ...(tls && address.transport === 'tls' && { tls }),
      })),
      ...(tls && { tlsPeers: { verify: true, ca: tls.cert } }),
      ...(restored && { restored }),
      onDialogChanged: this.#onDialogChanged,
    });
  }

  readonly #onDialogChanged = (id: string): void => {
    const saved = this.server.savedDialog(id);
    if (saved) this.kept.push(JSON.stringify(saved));
  };

  #disconnect(): void {
    this.#srf?.disconnect();
    this.#srf = undefined;
  }
}

/** @param tls certificate and key of the server, which listens for TLS then, and the one certificate that it trusts */
export function useRestartStage(tls?: Pair): RestartStage {
  const stage = new RestartStage(tls);
  beforeEach(() => stage.start());
  afterEach(async () => {
    vi.useRealTimers();
    await stage.stop();
  });
  return stage;
}
