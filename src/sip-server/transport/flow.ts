/** Transports of this server. */
export type TransportName = 'udp' | 'tcp' | 'tls';

export interface Endpoint {
  /** An IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * A way back to one peer: a UDP socket with the peer's address, or a connection (RFC 5626 section 3).
 * Sending never throws; what cannot be sent is reported by `onFailure` of the sender or dropped with its flow.
 */
export interface Flow {
  readonly transport: TransportName;
  /** Whether the transport itself retransmits, so that transactions must not. */
  readonly reliable: boolean;
  /** The address of ours that peers should use, for Via and Contact. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** False once the connection is gone. */
  readonly open: boolean;
  send(bytes: Buffer, onFailure?: (error: Error) => void): void;
}

/** What a transport hands one whole message up to. Tells whether the message made sense. */
export type Received = (bytes: Buffer, flow: Flow) => boolean;
