/**
 * The SDP that the transport library sees: one fake audio m-line, whatever the browser negotiates. With a single
 * m-line it hands up and sends every SRTP and SRTCP packet regardless of its SSRC.
 */
import { MAX_DATA_MESSAGE } from './pipe.js';
import type { TransportDescription } from './pipe.js';

/** Mid and payload type of the fake m-line. */
export const PIPE_MID = '0';
export const PIPE_PAYLOAD_TYPE = 111;
const DATA_MID = '1';

export interface PipeSdpOptions {
  /** With a section for the clients' data channels. */
  readonly withData?: boolean;
  /** The library is to take the controlling role in ICE, as one does toward a lite end (RFC 8445 section 6.1.1). */
  readonly controlled?: boolean;
}

/** An offer or answer, for the library, of a remote end with these parameters. */
export function writePipeSdp(remote: TransportDescription, options: PipeSdpOptions = {}): string {
  const { withData = false, controlled = false } = options;
  const mids = withData ? `${PIPE_MID} ${DATA_MID}` : PIPE_MID;
  const transport = [
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${remote.iceUfrag}`,
    `a=ice-pwd:${remote.icePwd}`,
    `a=fingerprint:${remote.fingerprint}`,
    `a=setup:${remote.setup}`,
  ];
  const media = [
    `m=audio 9 UDP/TLS/RTP/SAVPF ${String(PIPE_PAYLOAD_TYPE)}`,
    ...transport,
    `a=mid:${PIPE_MID}`,
    'a=sendrecv',
    'a=rtcp-mux',
    `a=rtpmap:${String(PIPE_PAYLOAD_TYPE)} opus/48000/2`,
    ...remote.candidates.map((candidate) => `a=candidate:${candidate}`),
  ];
  const data = [
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    ...transport,
    `a=mid:${DATA_MID}`,
    'a=sctp-port:5000',
    `a=max-message-size:${String(MAX_DATA_MESSAGE)}`,
  ];
  const session = [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    `a=group:BUNDLE ${mids}`,
    ...(controlled ? ['a=ice-lite'] : []),
  ];
  return [...session, ...media, ...(withData ? data : []), ''].join('\r\n');
}
