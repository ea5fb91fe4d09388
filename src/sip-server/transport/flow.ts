/** The transports of this server. */
export type TransportName = 'udp' | 'tcp' | 'tls';

export interface Endpoint {
  /** An IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * A way to reach one peer: a UDP socket with the peer's address, or a connection (RFC 5626 section 3). `send` never
 * throws: failures go to `onFailure`.
 */
export interface Flow {
  readonly transport: TransportName;
  /** Whether the transport itself retransmits, so that transactions must not. */
  readonly reliable: boolean;
  /** Our address for Via and Contact. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** False once the connection is gone. */
  readonly open: boolean;
  send(bytes: Buffer, onFailure?: (error: Error) => void): void;
}

/** Takes one complete message from a transport. Returns whether it was valid. */
export type Received = (bytes: Buffer, flow: Flow) => boolean;
