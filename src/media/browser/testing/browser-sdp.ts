/** SDP as Chromium writes it, put together from what a test wants to say. */
export interface OfferedMediaLine {
  readonly kind: 'audio' | 'video';
  readonly mid: string;
  readonly msid?: string;
  readonly direction?: string;
  /** Port 0, out of the bundle: what a stopped transceiver leaves. */
  readonly stopped?: boolean;
  readonly ssrc?: number;
  readonly rtxSsrc?: number;
  /** More layers, larger ones, each by its SSRC and that of its retransmissions. */
  readonly layers?: readonly (readonly [number, number])[];
  /** Replaces the m-line's formats. */
  readonly formats?: readonly string[];
}

export interface BrowserOffer {
  readonly media?: readonly OfferedMediaLine[];
  readonly data?: boolean;
  readonly ufrag?: string;
  /** Signed as Firefox does, with this version of the session. */
  readonly firefox?: number;
}

const firefoxOrigin = (version: number): string =>
  `o=mozilla...THIS_IS_SDPARTA-99.0 4611731400430051336 ${version} IN IP4 0.0.0.0`;

const AUDIO_FORMATS = [
  '111 opus/48000/2',
  '63 red/48000/2',
  '9 G722/8000',
  '0 PCMU/8000',
  '8 PCMA/8000',
  '13 CN/8000',
  '110 telephone-event/48000',
  '126 telephone-event/8000',
];
const VIDEO_FORMATS = ['96 VP8/90000', '97 rtx/90000 apt=96', '98 VP9/90000 profile-id=0'];

const EXTENSIONS = [
  'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
];

export function browserOffer({ media = [], data = true, ufrag = 'abcd', firefox }: BrowserOffer): string {
  const transport = transportLines(ufrag, 'actpass');
  const bundle = [...(data ? ['0'] : []), ...media.filter((line) => !line.stopped).map(({ mid }) => mid)];
  const sections = media.map((line) => mediaSection(line, transport));
  return [
    'v=0',
    firefox === undefined ? 'o=- 4611731400430051336 2 IN IP4 127.0.0.1' : firefoxOrigin(firefox),
    ...['s=-', 't=0 0'],
    `a=group:BUNDLE ${bundle.join(' ')}`,
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS',
    ...(data ? dataSection(transport) : []),
    ...sections.flat(),
    '',
  ].join('\r\n');
}

/** An answer to one of our offers, with `setup:passive` as the clients force it. */
export function browserAnswer(
  offer: string,
  options: { ufrag?: string; refuse?: readonly string[]; firefox?: boolean } = {},
): string {
  const { ufrag = 'wxyz', refuse = [], firefox = false } = options;
  const [lines, ...sections] = offer.split(/(?=^m=)/m);
  const session = firefox ? lines!.replace(/^o=.*/m, firefoxOrigin(1)) : lines;
  const answered = sections.map((section) => answeredSection(section, ufrag, refuse));
  return [session!.trimEnd(), ...answered.flat(), ''].join('\r\n');
}

function answeredSection(section: string, ufrag: string, refuse: readonly string[]): string[] {
  const lines = section.trimEnd().split('\r\n');
  const refused = refuse.some((name) => section.includes(` ${name}/`));
  const direction = section.includes('a=sendonly') && !refused ? 'a=recvonly' : 'a=inactive';
  const kept = lines.filter((line) => /^a=(mid|rtpmap|fmtp|rtcp-fb|rtcp-mux)/.test(line));
  const mLine = refused ? lines[0]!.replace(/^(m=\w+) 9/, '$1 0') : lines[0]!;
  return [mLine, ...transportLines(ufrag, 'passive'), direction, ...kept];
}

function transportLines(ufrag: string, setup: string): string[] {
  return [
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    'a=ice-pwd:Wc0qCCLgxuvvq0fFhNkVLc1V',
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'A5').join(':')}`,
    `a=setup:${setup}`,
  ];
}

function dataSection(transport: readonly string[]): string[] {
  return [
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    ...transport,
    'a=mid:0',
    'a=sctp-port:5000',
    'a=max-message-size:262144',
  ];
}

function mediaSection(line: OfferedMediaLine, transport: readonly string[]): string[] {
  const formats = (line.formats ?? (line.kind === 'audio' ? AUDIO_FORMATS : VIDEO_FORMATS)).map((text) => {
    const [payloadType, encoding, fmtp] = text.split(' ');
    return { payloadType: payloadType!, encoding: encoding!, fmtp };
  });
  const port = line.stopped ? 0 : 9;
  return [
    `m=${line.kind} ${port} UDP/TLS/RTP/SAVPF ${formats.map(({ payloadType }) => payloadType).join(' ')}`,
    ...transport,
    `a=mid:${line.mid}`,
    ...EXTENSIONS,
    `a=${line.stopped ? 'inactive' : (line.direction ?? 'sendonly')}`,
    ...(line.msid === undefined ? [] : [`a=msid:${line.msid} track-${line.mid}`]),
    'a=rtcp-mux',
    'a=rtcp-rsize',
    ...formats.flatMap((format) => formatLines(line.kind, format)),
    ...sourceLines(line),
  ];
}

function formatLines(
  kind: string,
  { payloadType, encoding, fmtp }: { payloadType: string; encoding: string; fmtp: string | undefined },
): string[] {
  const feedback =
    kind === 'audio' ? ['transport-cc'] : ['goog-remb', 'transport-cc', 'ccm fir', 'nack', 'nack pli'];
  return [
    `a=rtpmap:${payloadType} ${encoding}`,
    ...(encoding.startsWith('rtx') ? [] : feedback.map((value) => `a=rtcp-fb:${payloadType} ${value}`)),
    ...(fmtp === undefined ? [] : [`a=fmtp:${payloadType} ${fmtp}`]),
  ];
}

function sourceLines({ ssrc, rtxSsrc, layers = [] }: OfferedMediaLine): string[] {
  if (ssrc === undefined) return [];
  if (rtxSsrc === undefined) return [`a=ssrc:${ssrc} cname:c`];
  const all = [[ssrc, rtxSsrc] as const, ...layers];
  return [
    ...(layers.length > 0 ? [`a=ssrc-group:SIM ${all.map(([primary]) => primary).join(' ')}`] : []),
    ...all.flatMap(([primary, rtx]) => [
      `a=ssrc-group:FID ${primary} ${rtx}`,
      `a=ssrc:${primary} cname:c`,
      `a=ssrc:${rtx} cname:c`,
    ]),
  ];
}
