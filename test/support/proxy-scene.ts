import type Srf from 'drachtio-srf';
import type { SipServer } from '../../src/sip-server/index.js';
import { Caller, type HeardMessage, SipPeer } from './sip-peer.js';
import { addressOf, connectApp, deferred, testServer } from './sip-server.js';

/** The result of drachtio-srf's `proxyRequest`. */
interface ProxyResults {
  connected: boolean;
  finalStatus: number;
  responses: { msgs: { status: number }[] }[];
}

/** The part of drachtio-srf that its types leave out. */
interface ProxyingSrf {
  proxyRequest(req: Srf.SrfRequest, to: string[], opts: object): Promise<ProxyResults>;
}

/** A SIP server, a caller, two callees, and an application that proxies what the caller asks for. */
export class ProxyScene {
  readonly server: SipServer;
  caller: Caller;
  readonly callees: readonly SipPeer[];
  #app: Srf | undefined;

  private constructor(server: SipServer, caller: Caller, callees: readonly SipPeer[]) {
    this.server = server;
    this.caller = caller;
    this.callees = callees;
  }

  static async start(options?: Parameters<typeof testServer>[0]): Promise<ProxyScene> {
    const server = await testServer(options);
    const peer = (): Promise<SipPeer> => SipPeer.udp(addressOf(server, 'udp'));
    return new ProxyScene(server, new Caller(await peer()), [await peer(), await peer()]);
  }

  targets(): string[] {
    return this.callees.map(({ port }) => `sip:callee@127.0.0.1:${port}`);
  }

  /**
   * Connects an application, in place of the previous one, that proxies every request with these options. `outcome`
   * resolves with the result of the first.
   */
  async proxying(
    opts: object,
    to: readonly string[] = this.targets(),
  ): Promise<{ outcome: Promise<ProxyResults> }> {
    const outcome = deferred<ProxyResults>();
    const pass = (req: Srf.SrfRequest): void => {
      const srf = this.#app as unknown as ProxyingSrf;
      // A request that cannot be proxied is refused, which the caller sees.
      srf.proxyRequest(req, [...to], { ...opts }).then(outcome.resolve, () => undefined);
    };
    this.#app?.disconnect();
    this.#app = await connectApp(this.server, (srf) => {
      srf.invite(pass);
      for (const method of ['message', 'subscribe', 'register']) srf.use(method, pass);
    });
    return { outcome: outcome.promise };
  }

  /** A request of the caller's whose Request-URI names the server, as when it is the caller's outbound proxy. */
  request(method: string, cseq: number, options: Parameters<Caller['request']>[2] = {}): string {
    const { port } = addressOf(this.server, 'udp');
    return this.caller
      .request(method, cseq, options)
      .replace(/^(\S+) \S+/, `$1 sip:gateway@127.0.0.1:${port}`);
  }

  async stop(): Promise<void> {
    for (const peer of [this.caller.peer, ...this.callees]) peer.close();
    this.#app?.disconnect();
    await this.server.stop();
  }
}

/** A callee's answer to a request. */
export function reply(
  callee: SipPeer,
  to: HeardMessage,
  status: string,
  extra: readonly string[] = [],
  body = '',
): void {
  const echo = ['via', 'from', 'call-id', 'cseq', 'record-route'].flatMap((name) =>
    to.header(name).map((value) => `${name}: ${value}`),
  );
  const party = to.header('to')[0]!;
  const rest = [
    `To: ${party.includes('tag=') ? party : `${party};tag=callee-${callee.port}`}`,
    `Contact: <sip:callee@127.0.0.1:${callee.port}>`,
    ...extra,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
  ];
  callee.send(
    [`SIP/2.0 ${status}`, ...echo, ...rest, `Content-Length: ${body.length}`, '', body].join('\r\n'),
  );
}
