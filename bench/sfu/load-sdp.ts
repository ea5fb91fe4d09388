/** SDP as browsers write it, with the parts that the gateway reads. */
import { joinLines, sessionLines, transportLines } from '../../src/media/browser/sdp/writer.js';
import type { DtlsSetup, TransportDescription } from '../../src/media/browser/transport/transport.js';

export interface LoadSources {
  readonly audio: number;
  readonly video?: number;
}

/** A publish offer of one stream, `msid` `load`. */
export function publishOffer(transport: TransportDescription, sources: LoadSources): string {
  const section = (kind: string, mid: string, format: string, ssrc: number): string[] => [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF ${format.split(' ')[0]!}`,
    ...transportLines(transport),
    `a=mid:${mid}`,
    'a=sendonly',
    `a=msid:load load-${kind}`,
    'a=rtcp-mux',
    `a=rtpmap:${format}`,
    `a=ssrc:${ssrc} cname:load`,
  ];
  const { audio, video } = sources;
  return joinLines([
    ...sessionLines({ sessionId: '1', version: 1, bundle: video === undefined ? ['0'] : ['0', '1'] }),
    ...section('audio', '0', '111 opus/48000/2', audio),
    ...(video === undefined ? [] : section('video', '1', '96 VP8/90000', video)),
  ]);
}

/** Accepts all media of an offer. */
export function subscribeAnswer(offer: string, transport: TransportDescription): string {
  const [session, ...sections] = offer.split(/(?=^m=)/m);
  const answered = sections.map((section) => {
    const lines = section.trimEnd().split('\r\n');
    const kept = lines.filter((line) => /^a=(mid|rtpmap|fmtp|rtcp-fb|rtcp-mux)/.test(line));
    const direction = section.includes('a=sendonly') ? 'a=recvonly' : 'a=inactive';
    return [lines[0]!, ...transportLines(transport), direction, ...kept];
  });
  return joinLines([session!.trimEnd(), ...answered.flat()]);
}

/** The transport parameters of an offer or answer. */
export function readTransport(sdp: string): TransportDescription {
  return {
    iceUfrag: attribute(sdp, 'ice-ufrag'),
    icePwd: attribute(sdp, 'ice-pwd'),
    fingerprint: attribute(sdp, 'fingerprint'),
    setup: attribute(sdp, 'setup') as DtlsSetup,
    candidates: [...sdp.matchAll(/^a=candidate:(.+?)\r?$/gm)].map((match) => match[1]!),
  };
}

function attribute(sdp: string, name: string): string {
  const value = new RegExp(`^a=${name}:(.+?)\\r?$`, 'm').exec(sdp)?.[1];
  if (value === undefined) throw new Error(`The SDP has no ${name}.`);
  return value;
}
