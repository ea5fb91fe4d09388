/**
 * The SDP that the transport library sees: one fake audio m-line, whatever the browser negotiates. With a single
 * m-line it hands up and sends every SRTP and SRTCP packet regardless of its SSRC.
 */
import { MediaError } from '../../types.js';
import type { DtlsSetup, TransportDescription } from './pipe.js';

/** Mid and payload type of the fake m-line. */
export const PIPE_MID = '0';
export const PIPE_PAYLOAD_TYPE = 111;
const DATA_MID = '1';

/** An offer or answer, for the library, of a remote end with these parameters. */
export function writePipeSdp(remote: TransportDescription, withData: boolean): string {
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
    'a=max-message-size:262144',
  ];
  const session = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', `a=group:BUNDLE ${mids}`];
  return [...session, ...media, ...(withData ? data : []), ''].join('\r\n');
}

/** Reads our own end's parameters from the library's SDP. */
export function readPipeSdp(sdp: string, publicIp?: string): TransportDescription {
  const candidates = [...sdp.matchAll(/^a=candidate:(.+?)\r?$/gm)].map((match) => match[1]!);
  return {
    iceUfrag: attribute(sdp, 'ice-ufrag'),
    icePwd: attribute(sdp, 'ice-pwd'),
    fingerprint: attribute(sdp, 'fingerprint'),
    setup: attribute(sdp, 'setup') as DtlsSetup,
    candidates: publicIp === undefined ? candidates : announced(candidates, publicIp),
  };
}

function attribute(sdp: string, name: string): string {
  const value = new RegExp(`^a=${name}:(.+?)\\r?$`, 'm').exec(sdp)?.[1];
  if (value === undefined) throw new MediaError('INVALID_STATE', `The transport gave no ${name}.`);
  return value;
}

/** The candidates with their addresses (fifth field, RFC 8839 section 5.1) replaced, one for each port. */
function announced(candidates: readonly string[], address: string): string[] {
  const byPort = new Map<string, string>();
  for (const candidate of candidates) {
    const fields = candidate.split(' ');
    fields[4] = address;
    const port = fields[5] ?? '';
    if (!byPort.has(port)) byPort.set(port, fields.join(' '));
  }
  return [...byPort.values()];
}
