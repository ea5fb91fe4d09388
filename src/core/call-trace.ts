/** One message of a call's signalling, as an account may see it. */
export interface LadderMessage {
  /** Epoch milliseconds. */
  readonly at: number;
  /** `in`: to the gateway. */
  readonly direction: 'in' | 'out';
  /** `transport/address:port`. Of the gateway's end without address where a SIP server in between does not tell it. */
  readonly from: string;
  readonly to: string;
  /** Of a request; of a response, that of its CSeq. */
  readonly method: string;
  /** Of a response. */
  readonly status?: number | undefined;
  /** In a few words. */
  readonly summary: string;
  /** The whole message, secrets masked. */
  readonly text: string;
  /** It is the same as one before: a retransmission (RFC 3261 section 17). */
  readonly repeated: boolean;
}

/** What is kept of a call's signalling. */
export interface CallTrace {
  /** The oldest first. */
  readonly messages: readonly LadderMessage[];
  /** Later messages for which there was no room. */
  readonly left: number;
}
