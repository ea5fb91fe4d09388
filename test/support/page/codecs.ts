/** The page's choice of video codecs, made before the client offers or answers; the client itself stays as it is. */
const publishing: { codec?: string; layers?: readonly string[] } = {};
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
        return Reflect.apply(target, connection, args) as unknown;
      },
    });
  }
}
