import type Srf from 'drachtio-srf';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { Caller, type HeardMessage, SDP, SipPeer } from '../../../test/support/sip-peer.js';
import { addressOf, connectApp, testServer } from '../../../test/support/sip-server.js';
import type { SavedDialog, SipServer, SipServerOptions } from '../index.js';

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
  /** Where the peer sends to. */
  #target = { host: '127.0.0.1', port: 0 };

  constructor(tls?: Pair) {
    this.#tls = tls;
  }

  async start(): Promise<void> {
    this.kept = [];
    this.heardByApp = [];
    const transports = ['udp', 'tcp', ...(this.#tls ? (['tls'] as const) : [])] as const;
    await this.#serve(transports.map((transport) => ({ transport, host: '127.0.0.1', port: 0 })));
    await this.connect();
    this.#target.port = addressOf(this.server, 'udp').port;
    this.peer = await SipPeer.udp(this.#target);
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
    options: {
      connect?: boolean;
      during?: () => unknown;
      restored?: readonly unknown[];
      mayAct?: () => boolean;
    } = {},
  ): Promise<void> {
    const { sipAddresses } = this.server;
    const restored = options.restored ?? [this.lastSaved()];
    this.#disconnect();
    await this.server.stop();
    await options.during?.();
    this.heardByApp = [];
    await this.#serve(sipAddresses, { restored, mayAct: options.mayAct });
    if (options.connect !== false) await this.connect();
  }

  /**
   * The call goes on at another server, with an application of its own, while the one before lives. The peer sends to that one
   * from now on.
   * @returns the server before
   */
  async moveElsewhere(): Promise<{ readonly before: SipServer; readonly taken: SavedDialog | undefined }> {
    const [before, saved, disconnect] = [this.server, this.lastSaved(), this.#srf];
    this.cleanups.push(async () => {
      disconnect?.disconnect();
      await before.stop();
    });
    this.heardByApp = [];
    const anyPort = { host: '127.0.0.1', port: 0 };
    await this.#serve([
      { ...anyPort, transport: 'udp' },
      { ...anyPort, transport: 'tcp' },
    ]);
    await this.connect();
    this.#target.port = addressOf(this.server, 'udp').port;
    return { before, taken: this.server.takeOver(saved) };
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
    return new Promise((resolve, reject) => {
      client.request({ method, body, headers: {}, stackDialogId: this.lastSaved().id }, (error, request) => {
        if (error) reject(error);
        request?.on('response', (response, ack) => {
          if (response.status < 200) return;
          if (method === 'INVITE') ack();
          resolve(response);
        });
      });
    });
  }

  reply(request: HeardMessage, status: string, headers: string[] = [], by = this.peer): void {
    const echo = ['via', 'from', 'to', 'call-id', 'cseq'].map(
      (name) => `${name}: ${request.header(name)[0]!}`,
    );
    by.send([`SIP/2.0 ${status}`, ...echo, ...headers, 'Content-Length: 0', '', ''].join('\r\n'));
  }

  async #serve(
    addresses: SipServer['sipAddresses'],
    options: Pick<SipServerOptions, 'restored' | 'mayAct'> = {},
  ): Promise<void> {
    const tls = this.#tls;
    this.server = await testServer({
      listeners: addresses.map((address) => ({
        ...address,
        ...(tls && address.transport === 'tls' && { tls }),
      })),
      ...(tls && { tlsPeers: { verify: true, ca: tls.cert } }),
      ...options,
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
