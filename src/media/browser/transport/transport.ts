/** ICE and DTLS parameters of one end, as SDP carries them (RFC 8839, RFC 8842). */
export interface TransportDescription {
  readonly iceUfrag: string;
  readonly icePwd: string;
  /** Hash name and value, as in `a=fingerprint`. */
  readonly fingerprint: string;
  readonly setup: DtlsSetup;
  /** Values of `a=candidate`, without the attribute name. */
  readonly candidates: readonly string[];
}

export type DtlsSetup = 'active' | 'passive' | 'actpass';

export type TransportState = 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

/** Called from the event loop; not after {@link Transport.close}. */
export interface TransportHandlers {
  /** One decrypted RTP or RTCP packet; the receiver owns the buffer. */
  onPacket(packet: Buffer): void;
  /** The browser answered a heartbeat. */
  onHeartbeat(): void;
  onState(state: TransportState): void;
  /** The browser sent more than any page needs; nothing more is handed up. */
  onAbuse(): void;
}

/**
 * Most bytes of a data channel message. The library truncates longer ones. It also allocates this much for a
 * single byte that is sent with a deprecated partial PPID (RFC 8831 section 6.6), so each message of a flood
 * may cost this much.
 */
export const MAX_DATA_MESSAGE = 1_024;

/** An encrypted transport to a browser that carries any RTP and RTCP and knows nothing of m-lines. */
export interface Transport {
  readonly local: TransportDescription;
  /** Whether the transport carries the clients' data channels beside the media. */
  readonly hasData: boolean;
  readonly state: TransportState;
  /** Copies and sends one packet. @returns whether it went out */
  send(packet: Buffer): boolean;
  /**
   * Sends a message of at most {@link MAX_DATA_MESSAGE} bytes on the client's diagnostics channel, once that is open.
   * Without such a channel nothing is sent.
   */
  sendDiagnostics(message: string): void;
  /** Frees the transport; no handler is called afterwards. */
  close(): void;
}

/** A transport that we offered, waiting for the other end's parameters. */
export interface OfferedTransport extends Transport {
  /** To be called once. @throws MediaError BAD_SDP */
  accept(remote: TransportDescription): void;
}

/** Makes transports. Rejects with MediaError. */
export interface TransportFactory {
  offer(handlers: TransportHandlers): Promise<OfferedTransport>;
  /**
   * @param withData whether to run the clients' data channels beside the media; only when the remote end
   * offered a data section
   */
  answer(remote: TransportDescription, withData: boolean, handlers: TransportHandlers): Promise<Transport>;
  stop(): Promise<void>;
}
