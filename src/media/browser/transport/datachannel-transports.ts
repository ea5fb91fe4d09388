import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import nodeDataChannel, { type RtcConfig } from 'node-datachannel';
import { MediaError } from '../../types.js';
import type { Log } from '../../../shared/index.js';
import { createTransportCertificate, type TransportCertificate } from './certificate.js';
import { DataChannelTransport } from './datachannel-transport.js';
import {
  MAX_DATA_MESSAGE,
  type OfferedTransport,
  type Transport,
  type TransportFactory,
  type TransportHandlers,
  type TransportDescription,
} from './transport.js';

const HOST_TYPE_PREFERENCE = 126;

/** A link-local address needs the name of its interface, which SDP cannot carry. */
const isLinkLocal = (address: string): boolean => isIPv6(address) && /^fe[89ab]/i.test(address);

/**
 * Receive window of a transport's SCTP association, the smallest that the library allows (`SCTP_MINIMAL_RWND`): a
 * page sends only `PONG` every 3 s.
 */
const SCTP_WINDOW = 4_096;
const SCTP_SEND_BUFFER = 65_536;
const SCTP_MAX_CHUNKS = 128;

/** A closed transport is held for so long (ms), since collecting it would leak what the library has yet to hand up. */
const AFTERLIFE_MS = 10_000;

interface DataChannelTransportsOptions {
  readonly host: string;
  /** The one UDP port of all transports. */
  readonly port: number;
  readonly publicIp?: string;
  readonly log: Log;
}

/** Transports over node-datachannel, all on one UDP port. */
export class DataChannelTransports implements TransportFactory {
  readonly #options: DataChannelTransportsOptions;
  /** The library's wrappers close their connection when they are collected: hold them. */
  readonly #transports = new Set<DataChannelTransport>();

  constructor(options: DataChannelTransportsOptions) {
    this.#options = options;
    nodeDataChannel.setSctpSettings({
      recvBufferSize: SCTP_WINDOW,
      sendBufferSize: SCTP_SEND_BUFFER,
      maxChunksOnQueue: SCTP_MAX_CHUNKS,
    });
  }

  async offer(handlers: TransportHandlers): Promise<OfferedTransport> {
    return this.#create('actpass', handlers);
  }

  async answer(
    remote: TransportDescription,
    withData: boolean,
    handlers: TransportHandlers,
  ): Promise<Transport> {
    // DTLS starts from our side wherever the other end leaves the choice (RFC 8842 section 5.3).
    const transport = await this.#create(remote.setup === 'active' ? 'passive' : 'active', handlers);
    try {
      await transport.open(remote, withData);
      return transport;
    } catch (error) {
      transport.close();
      this.#options.log.warn({ err: error }, 'A WebRTC transport did not open');
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const transport of [...this.#transports]) {
      transport.close();
      transport.free();
    }
    return Promise.resolve();
  }

  async #create(
    setup: TransportDescription['setup'],
    handlers: TransportHandlers,
  ): Promise<DataChannelTransport> {
    const { host, port, publicIp, log } = this.#options;
    const certificate = await createTransportCertificate();
    const transport = new DataChannelTransport({
      config: libraryConfig(host, port, certificate),
      local: {
        // ice-char is base64's alphabet without its padding (RFC 8839 section 5.4).
        iceUfrag: randomBytes(6).toString('base64'),
        icePwd: randomBytes(18).toString('base64'),
        fingerprint: certificate.fingerprint,
        setup,
        candidates: hostCandidates(host, port, publicIp),
      },
      handlers,
      onFreed: () => setTimeout(() => this.#transports.delete(transport), AFTERLIFE_MS).unref(),
      log,
    });
    this.#transports.add(transport);
    return transport;
  }
}

function libraryConfig(host: string, port: number, certificate: TransportCertificate): RtcConfig {
  return {
    iceServers: [],
    bindAddress: host,
    enableIceUdpMux: true,
    portRangeBegin: port,
    portRangeEnd: port,
    disableAutoNegotiation: true,
    forceMediaTransport: true,
    maxMessageSize: MAX_DATA_MESSAGE,
    certificatePemFile: certificate.certificate,
    keyPemFile: certificate.privateKey,
  };
}

/**
 * The values of `a=candidate` for a UDP port that all transports share (RFC 8839 section 5.1): they follow from where we
 * listen, so that they are known before any transport is made.
 * @param host what the port is bound to; `0.0.0.0` or `::` stands for the addresses of all interfaces
 * @param publicIp announced in place of all of them
 */
export function hostCandidates(
  host: string,
  port: number,
  publicIp?: string,
  interfaces = networkInterfaces(),
): string[] {
  const addresses = publicIp === undefined ? boundAddresses(host, interfaces) : [publicIp];
  return addresses.map((address, index) => {
    // RFC 8445 section 5.1.2.1: the earlier, the better; component 1.
    const priority = HOST_TYPE_PREFERENCE * 2 ** 24 + (0xffff - index) * 2 ** 8 + 255;
    return `${index + 1} 1 UDP ${priority} ${address} ${port} typ host`;
  });
}

function boundAddresses(host: string, interfaces: ReturnType<typeof networkInterfaces>): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const wanted = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(
      ({ internal, family, address }) =>
        !internal && (host === '::' || family === 'IPv4') && !isLinkLocal(address),
    )
    .map(({ address }) => address);
  // A machine without a network still serves itself.
  return wanted.length > 0 ? wanted : [host === '::' ? '::1' : '127.0.0.1'];
}

/**
 * Checks that a UDP port is free, or (0) finds a free one: the transport library opens the port only with the
 * first connection, and cannot choose one for all of them.
 * @throws MediaError NO_PORT
 */
export async function freeUdpPort(host: string, port: number): Promise<number> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, host, resolve);
    });
    return socket.address().port;
  } catch (error) {
    throw new MediaError('NO_PORT', `UDP port ${port} of ${host} cannot be used.`, { cause: error });
  } finally {
    socket.close();
  }
}

/**
 * Binds the UDP port of all transports before the first transport is made, until it is released.
 * @throws MediaError NO_PORT when another program has it
 */
export function holdUdpPort(host: string, port: number): { release(): void } {
  try {
    const listener = new nodeDataChannel.IceUdpMuxListener(port, host);
    return { release: () => listener.stop() };
  } catch (error) {
    throw new MediaError('NO_PORT', `UDP port ${port} of ${host} cannot be used.`, { cause: error });
  }
}
