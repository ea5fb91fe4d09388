/** Pieces that our offers and answers share. */
import type { TransportDescription } from '../transport/transport.js';

export const MID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:mid';
/**
 * The layer that a packet belongs to (RFC 8852): browsers send layers only if both extensions are accepted.
 */
export const RID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id';
export const REPAIRED_RID_EXTENSION = 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id';
/** The level of a packet's audio (RFC 6464). */
export const AUDIO_LEVEL_EXTENSION = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
export const TRANSPORT_CC_EXTENSION =
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
export const ABS_SEND_TIME_EXTENSION = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';

export interface SessionLines {
  /** Stays the same for the life of a peer connection (RFC 8829 section 5.2.1). */
  readonly sessionId: string;
  readonly version: number;
  /** Mids of all sections that are not rejected. */
  readonly bundle: readonly string[];
}

export function sessionLines({ sessionId, version, bundle }: SessionLines): string[] {
  return [
    'v=0',
    `o=- ${sessionId} ${version} IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    ...(bundle.length > 0 ? [`a=group:BUNDLE ${bundle.join(' ')}`] : []),
    'a=msid-semantic:WMS *',
  ];
}

/** ICE and DTLS lines of one section; candidates are included, since none can be sent later. */
export function transportLines(transport: TransportDescription): string[] {
  return [
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${transport.iceUfrag}`,
    `a=ice-pwd:${transport.icePwd}`,
    `a=fingerprint:${transport.fingerprint}`,
    `a=setup:${transport.setup}`,
    ...transport.candidates.map((candidate) => `a=candidate:${candidate}`),
    'a=end-of-candidates',
  ];
}

export const joinLines = (lines: readonly string[]): string => lines.concat('').join('\r\n');
