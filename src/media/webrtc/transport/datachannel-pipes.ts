import { randomBytes } from 'node:crypto';
import nodeDataChannel from 'node-datachannel';
import type { RtcConfig } from 'node-datachannel';
import type { MediaLog } from '../../types.js';
import { createTransportCertificate } from './certificate.js';
import type { TransportCertificate } from './certificate.js';
import { DataChannelPipe } from './datachannel-pipe.js';
import { hostCandidates } from './host-candidates.js';
import { MAX_DATA_MESSAGE } from './pipe.js';
import type { OfferedPipe, Pipe, PipeFactory, PipeHandlers, TransportDescription } from './pipe.js';

/**
 * What a path's SCTP association may hold, and so what may come in the time of one round trip: a page has `PONG` to
 * say, every 3 s. The smallest window that the library knows (`SCTP_MINIMAL_RWND`).
 */
const SCTP_WINDOW = 4_096;
const SCTP_SEND_BUFFER = 65_536;
const SCTP_MAX_CHUNKS = 128;

/** A closed path is held for so long (ms), since collecting it would leak what the library has yet to hand up. */
const AFTERLIFE_MS = 10_000;

export interface DataChannelPipesOptions {
  readonly host: string;
  /** The one UDP port of all pipes. */
  readonly port: number;
  readonly publicIp?: string;
  readonly log: MediaLog;
}

/** Pipes over node-datachannel, all on one UDP port. */
export class DataChannelPipes implements PipeFactory {
  readonly #options: DataChannelPipesOptions;
  /** The library's wrappers close their connection when they are collected: hold them. */
  readonly #pipes = new Set<DataChannelPipe>();

  constructor(options: DataChannelPipesOptions) {
    this.#options = options;
    nodeDataChannel.setSctpSettings({
      recvBufferSize: SCTP_WINDOW,
      sendBufferSize: SCTP_SEND_BUFFER,
      maxChunksOnQueue: SCTP_MAX_CHUNKS,
    });
  }

  async offer(handlers: PipeHandlers): Promise<OfferedPipe> {
    return this.#create('actpass', handlers);
  }

  async answer(remote: TransportDescription, withData: boolean, handlers: PipeHandlers): Promise<Pipe> {
    // DTLS starts from our side wherever the other end leaves the choice (RFC 8842 section 5.3).
    const pipe = await this.#create(remote.setup === 'active' ? 'passive' : 'active', handlers);
    try {
      await pipe.open(remote, withData);
      return pipe;
    } catch (error) {
      pipe.close();
      this.#options.log.warn({ err: error }, 'A WebRTC transport did not open');
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const pipe of [...this.#pipes]) {
      pipe.close();
      pipe.free();
    }
    return Promise.resolve();
  }

  async #create(setup: TransportDescription['setup'], handlers: PipeHandlers): Promise<DataChannelPipe> {
    const { host, port, publicIp, log } = this.#options;
    const certificate = await createTransportCertificate();
    const pipe = new DataChannelPipe({
      config: libraryConfig(host, port, certificate),
      local: {
        // ice-char knows base64's alphabet without its padding (RFC 8839 section 5.4).
        iceUfrag: randomBytes(6).toString('base64'),
        icePwd: randomBytes(18).toString('base64'),
        fingerprint: certificate.fingerprint,
        setup,
        candidates: hostCandidates(host, port, publicIp),
      },
      handlers,
      onFreed: () => setTimeout(() => this.#pipes.delete(pipe), AFTERLIFE_MS).unref(),
      log,
    });
    this.#pipes.add(pipe);
    return pipe;
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
