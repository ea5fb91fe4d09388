import type { Socket } from 'node:net';
import type { MediaServer } from 'drachtio-fsmrf';
import type Srf from 'drachtio-srf';
import type { Logger } from 'pino';
import { withinLimit } from '../../../shared/index.js';
import { Leg } from './leg.js';
import { CaughtInvite, LegSignalling } from './signalling.js';

/** The SIP profile of `sip-config/freeswitch`, which is also the one of drachtio's own images. */
const PROFILE = 'drachtio_mrf';
const CONNECT_LIMIT_MS = 5000;
const COMMAND_LIMIT_MS = 5000;
/** drachtio-fsmrf gives FreeSWITCH 4 s to call back; an INVITE that is never answered is our own to end. */
const LEG_LIMIT_MS = 6000;
/** Marks every leg with the gateway that it belongs to. */
const GATEWAY_HEADER = 'X-Patchbay-Gateway';
/** The variable of a channel that has it. */
const GATEWAY_VARIABLE = `sip_h_${GATEWAY_HEADER}`;
/** The event of a hung-up channel, by drachtio-modesl's names. */
const HANGUPS = 'esl::event::CHANNEL_HANGUP::*';
/** The variable of a channel that names the channel it is bridged to. */
const PARTNER = 'signal_bond';

export interface ConnectionOptions {
  /** Asked for each leg. */
  readonly srf: () => Srf;
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  /** The same over restarts of this gateway, different from every other gateway's. */
  readonly gatewayId: string;
  readonly log: Logger;
  /** The connection ended without our doing. */
  readonly onLost?: (connection: FreeswitchConnection) => void;
}

/** A leg towards a phone: FreeSWITCH's answer is there before the leg is, for DTLS starts between the two. */
interface AnsweredLeg {
  readonly answer: Promise<string>;
  readonly leg: Promise<Leg>;
}

/** An event-socket connection to one FreeSWITCH that is up; made by {@link connectFreeswitch}. */
export class FreeswitchConnection {
  readonly #server: MediaServer;
  readonly #options: ConnectionOptions;
  /** Told when the channel of that id ends. */
  readonly #watched = new Map<string, (cause: string | undefined) => void>();
  #hearsHangups = false;
  #isClosed = false;

  constructor(server: MediaServer, options: ConnectionOptions) {
    this.#server = server;
    this.#options = options;
    server.once('end', () => {
      if (!this.#isClosed) options.onLost?.(this);
    });
  }

  /** A leg without SDP of the other end: FreeSWITCH makes the offer. */
  offeringLeg(): Promise<Leg> {
    return this.#leg(this.#server.createEndpoint({ headers: this.#headers() }));
  }

  /** A leg that answers an SDP offer of our own media plane. */
  mediaLeg(remoteSdp: string): Promise<Leg> {
    return this.#leg(this.#server.createEndpoint({ remoteSdp, headers: this.#headers() }));
  }

  /** A leg that answers a phone's SDP offer, encrypted media included. */
  phoneLeg(offer: string): AnsweredLeg {
    const { promise: answer, resolve, reject } = deferred<string>();
    const answered = (sdp: string): void => {
      resolve(sdp);
      this.#takeEarlyConnections();
    };
    const pair = this.#server.connectCaller(
      new CaughtInvite(offer, answered),
      {},
      { headers: this.#headers() },
    );
    const leg = this.#leg(pair.then(({ endpoint }) => endpoint));
    leg.catch(reject);
    return { answer, leg };
  }

  /** Connects two legs, so that each hears the other. */
  async bridge(one: Leg, other: Leg): Promise<void> {
    const reply = await this.api(`uuid_bridge ${one.uuid} ${other.uuid}`);
    if (!reply.startsWith('+OK')) throw new Error(`FreeSWITCH did not bridge: ${reply.trim()}`);
  }

  /**
   * Lets FreeSWITCH pass DTMF events (RFC 4733) on packet by packet once these legs are bridged, instead of making
   * them anew from those whose end it heard. As it is bridged, a leg looks up its partner's media; `uuid_bridge`
   * names the partner after that only, so it is named here, before.
   */
  async passOnDtmf(one: Leg, other: Leg): Promise<void> {
    await Promise.all([
      this.api(`uuid_setvar ${one.uuid} ${PARTNER} ${other.uuid}`),
      this.api(`uuid_setvar ${other.uuid} ${PARTNER} ${one.uuid}`),
    ]);
  }

  /**
   * Hangs up what a gateway of this id has left behind.
   * @param spared channels that are gone on with
   */
  async hangUpLeftovers(spared: ReadonlySet<string>): Promise<void> {
    if (spared.size === 0) {
      await this.api(`hupall NORMAL_CLEARING ${GATEWAY_VARIABLE} ${this.#options.gatewayId}`);
      return;
    }
    const others = channelsIn(await this.api('show channels as json')).filter((uuid) => !spared.has(uuid));
    await Promise.all(others.map((uuid) => this.#hangUpOurs(uuid)));
  }

  /**
   * Tells when a channel ends that makes no connection back to us: with the hang-up cause, or with undefined when it
   * has ended before. If the connection ends first, that is not told.
   */
  watch(uuid: string, onEnd: (cause: string | undefined) => void): void {
    const { conn } = this.#server;
    this.#hearHangups();
    this.#watched.set(uuid, onEnd);
    conn.filter('Unique-ID', uuid);
    // After that no end of it can be missed.
    this.api(`uuid_exists ${uuid}`).then(
      (reply) => {
        if (reply.trim() !== 'true') this.#ended(uuid, undefined);
      },
      (error: unknown) =>
        this.#options.log.debug({ err: error, leg: uuid }, 'FreeSWITCH did not say whether a leg is there.'),
    );
  }

  /** @throws LimitPassed */
  api(command: string): Promise<string> {
    return withinLimit(this.#server.api(command), COMMAND_LIMIT_MS, `FreeSWITCH: ${command}`);
  }

  close(): void {
    this.#isClosed = true;
    this.#server.disconnect();
  }

  /** Only of those channels that are named: there may be many more, of other gateways. */
  #hearHangups(): void {
    if (this.#hearsHangups) return;
    this.#hearsHangups = true;
    const { conn } = this.#server;
    conn.on(HANGUPS, (event) => {
      this.#ended(event.getHeader('Unique-ID') ?? '', event.getHeader('Hangup-Cause') ?? undefined);
    });
    // Without any filter everything would come.
    conn.filter('Event-Name', 'HEARTBEAT');
    conn.subscribe(['CHANNEL_HANGUP']);
  }

  #ended(uuid: string, cause: string | undefined): void {
    const onEnd = this.#watched.get(uuid);
    if (!onEnd) return;
    this.#watched.delete(uuid);
    this.#server.conn.filterDelete('Unique-ID', uuid);
    onEnd(cause);
  }

  async #hangUpOurs(uuid: string): Promise<void> {
    const gatewayId = await this.api(`uuid_getvar ${uuid} ${GATEWAY_VARIABLE}`);
    if (gatewayId.trim() === this.#options.gatewayId) await this.api(`uuid_kill ${uuid}`);
  }

  async #leg(endpoint: ReturnType<MediaServer['createEndpoint']>): Promise<Leg> {
    const made = endpoint.then((ready) => new Leg(ready, (command) => this.api(command), this.#options.log));
    try {
      return await withinLimit(made, LEG_LIMIT_MS, 'A leg in FreeSWITCH');
    } catch (error) {
      // One that comes too late belongs to nobody.
      made.then(
        (leg) => leg.hangUp(),
        () => undefined,
      );
      throw error;
    }
  }

  /**
   * Once FreeSWITCH has answered, drachtio-fsmrf waits for its connection, for 4 s. With encrypted media, that waits also
   * when it has come already.
   */
  #takeEarlyConnections(): void {
    const { pendingConnections: pending } = this.#server;
    for (const [id, { conn, fn, connTimeout }] of pending) {
      if (!conn || !fn) continue;
      pending.delete(id);
      clearTimeout(connTimeout);
      fn(conn);
    }
  }

  /** A fresh object for each leg: drachtio-fsmrf writes into it. */
  #headers(): Record<string, string> {
    return { [GATEWAY_HEADER]: this.#options.gatewayId };
  }
}

/**
 * Connects to a FreeSWITCH and sees that it can serve: right secret, access list, SIP profile running.
 * @throws Error saying what is wrong
 */
export async function connectFreeswitch(options: ConnectionOptions): Promise<FreeswitchConnection> {
  const { host: address, port, secret } = options;
  const localAddress = await withinLimit(probe(options), CONNECT_LIMIT_MS, 'Event socket');
  // Loaded here, since few gateways have FreeSWITCH and the libraries take a twentieth of a start.
  const { default: Mrf } = await import('drachtio-fsmrf');
  const mrf = new Mrf(new LegSignalling(options.srf));
  // FreeSWITCH connects back for each leg: it reaches us where we come from.
  const connecting = mrf.connect({ address, port, secret, listenAddress: localAddress, profile: PROFILE });
  const server = await withinLimit(connecting, CONNECT_LIMIT_MS, 'Event socket');
  sendAtOnce(server);
  return new FreeswitchConnection(server, options);
}

/**
 * drachtio-fsmrf never settles on a wrong secret, and throws from a socket's event when the profile is not up yet.
 * Hence a connection before its own, that looks.
 * @returns our address as FreeSWITCH sees it
 */
async function probe({ host, port, secret }: ConnectionOptions): Promise<string> {
  const { default: esl } = await import('drachtio-modesl');
  const { promise, resolve, reject } = deferred<string>();
  const connection = new esl.Connection(host, port, secret, () => {
    const address = connection.socket?.localAddress ?? '127.0.0.1';
    connection.api(`sofia status profile ${PROFILE}`, (reply) => {
      if (/^Name\s/m.test(reply.getBody())) resolve(address);
      else reject(new Error(`The SIP profile ${PROFILE} is not running: use sip-config/freeswitch.`));
    });
  });
  const refused =
    'Our address is not in the access list of the event socket (apply-inbound-acl in event_socket.conf.xml).';
  connection.on('error', (error) => reject(error instanceof Error ? error : new Error(String(error))));
  connection.on('esl::event::auth::fail', () =>
    reject(
      new Error('The secret is wrong: PATCHBAY_FREESWITCH must have the password of event_socket.conf.xml.'),
    ),
  );
  connection.on('esl::event::raw::text/rude-rejection', () => reject(new Error(refused)));
  try {
    return await withinLimit(promise, CONNECT_LIMIT_MS, 'Event socket');
  } finally {
    connection.disconnect();
  }
}

/** Ids of all channels, from the reply to `show channels as json`. */
function channelsIn(reply: string): string[] {
  const { rows = [] } = JSON.parse(reply) as { rows?: readonly { readonly uuid: string }[] };
  return rows.map(({ uuid }) => uuid);
}

/** A command goes out in several writes: with Nagle's algorithm, each would cost the other end's delayed ACK, 40 ms. */
function sendAtOnce(server: MediaServer): void {
  server.conn.socket?.setNoDelay(true);
  server._server.server.prependListener('connection', (socket: Socket) => socket.setNoDelay(true));
}

function deferred<T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  // Who waits for it sees the error; who no longer does need not.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
