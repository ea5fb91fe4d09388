/** The page's choice of video codecs, made before the client offers or answers; the client itself stays as it is. */
const publishing: { codec?: string; layers?: readonly string[]; sources?: number } = {};
const refused = new Set<string>();

const mime = (codec: string): string => `video/${codec}`.toLowerCase();

/** Video codecs that this browser can encode, by their SDP names. */
export function encodableVideo(): string[] {
  const { codecs } = RTCRtpSender.getCapabilities('video') ?? { codecs: [] };
  return [...new Set(codecs.map(({ mimeType }) => mimeType.replace('video/', '')))];
}

/** Publishes video with one codec from now on. */
export function preferVideo(codec: string): void {
  publishing.codec = codec;
}

/** Publishes video in these layers from now on; undefined: in one. */
export function sendLayers(layers: readonly string[] | undefined): void {
  if (layers === undefined) delete publishing.layers;
  else publishing.layers = layers;
}

/** Publishes video by so many SSRCs from now on, which the offer declares as layers; undefined: by one. */
export function sendSources(count: number | undefined): void {
  if (count === undefined) delete publishing.sources;
  else publishing.sources = count;
}

/** Takes no video of a codec from now on. */
export function refuseVideo(codec: string): void {
  refused.add(mime(codec));
}

const videoTransceivers = (connection: RTCPeerConnection): RTCRtpTransceiver[] =>
  connection
    .getTransceivers()
    .filter(
      ({ receiver, currentDirection }) => receiver.track.kind === 'video' && currentDirection !== 'stopped',
    );

function chooseForOffer(connection: RTCPeerConnection): void {
  const { codec } = publishing;
  if (codec === undefined) return;
  const { codecs } = RTCRtpSender.getCapabilities('video') ?? { codecs: [] };
  const first = codecs.filter(({ mimeType }) => mimeType.toLowerCase() === mime(codec));
  const rest = codecs.filter((candidate) => !first.includes(candidate));
  for (const transceiver of videoTransceivers(connection))
    transceiver.setCodecPreferences([...first, ...rest]);
}

function chooseForAnswer(connection: RTCPeerConnection): void {
  if (refused.size === 0) return;
  const { codecs } = RTCRtpReceiver.getCapabilities('video') ?? { codecs: [] };
  const taken = codecs.filter(({ mimeType }) => !refused.has(mimeType.toLowerCase()));
  for (const transceiver of videoTransceivers(connection)) transceiver.setCodecPreferences(taken);
}

/** Declares more SSRCs for each video, as copies of its own, and all of them as layers of one. */
function withSources(sdp: string, count: number): string {
  return sdp
    .split(/(?=^m=)/m)
    .map((section) => {
      const [, first, repair] = /^a=ssrc-group:FID (\d+) (\d+)/m.exec(section) ?? [];
      if (first === undefined || repair === undefined || section.includes('ssrc-group:SIM')) return section;
      const lines = section.trimEnd().split('\r\n');
      const about = lines.filter((line) => line.startsWith('a=ssrc'));
      const copies = Array.from({ length: count }, (_, i) =>
        about.map((line) =>
          line.replace(first, String(Number(first) + i)).replace(repair, String(Number(repair) + i)),
        ),
      );
      const sources = copies.map((_, i) => Number(first) + i).join(' ');
      return [
        ...lines.filter((line) => !line.startsWith('a=ssrc')),
        `a=ssrc-group:SIM ${sources}`,
        ...copies.flat(),
        '',
      ].join('\r\n');
    })
    .join('');
}

/** Makes every connection of the page follow the choice. */
export function chooseCodecs(): void {
  const { prototype } = RTCPeerConnection;
  prototype.addTransceiver = new Proxy(prototype.addTransceiver, {
    apply(
      target,
      connection: RTCPeerConnection,
      [track, init]: Parameters<RTCPeerConnection['addTransceiver']>,
    ) {
      const { layers } = publishing;
      const isVideo = typeof track !== 'string' && track.kind === 'video';
      const sendEncodings = layers?.map((rid, i) => ({
        rid,
        scaleResolutionDownBy: 2 ** (layers.length - 1 - i),
      }));
      const args = [track, isVideo && sendEncodings ? { ...init, sendEncodings } : init];
      return Reflect.apply(target, connection, args) as unknown;
    },
  });
  for (const [method, choose] of [
    ['createOffer', chooseForOffer],
    ['createAnswer', chooseForAnswer],
  ] as const) {
    prototype[method] = new Proxy(prototype[method], {
      apply(target, connection: RTCPeerConnection, args: []) {
        choose(connection);
        const made = Reflect.apply(target, connection, args) as Promise<RTCSessionDescriptionInit>;
        const { sources } = publishing;
        if (method !== 'createOffer' || sources === undefined) return made;
        return made.then(({ type, sdp }) => ({ type, sdp: withSources(sdp!, sources) }));
      },
    });
  }
}
