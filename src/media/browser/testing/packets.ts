import { setRtpMarker, writeRtpHeader } from '../../rtp/index.js';

export interface PacketOptions {
  readonly payloadType?: number;
  readonly sequence?: number;
  readonly timestamp?: number;
  readonly ssrc?: number;
  readonly marker?: boolean;
  readonly payload?: Uint8Array;
  /** One-byte header extensions by id. */
  readonly extensions?: Readonly<Record<number, Uint8Array>>;
}

/** An RTP packet. */
export function rtpPacket(options: PacketOptions = {}): Buffer {
  const {
    payloadType = 111,
    sequence = 1,
    timestamp = 960,
    ssrc = 1,
    payload = Buffer.from('payload'),
  } = options;
  const header = Buffer.alloc(12);
  writeRtpHeader(header, payloadType, false, sequence, timestamp, ssrc);
  setRtpMarker(header, options.marker ?? false);
  const extensions = extensionBlock(options.extensions ?? {});
  if (extensions.length > 0) header[0] = header[0]! | 0x10;
  return Buffer.concat([header, extensions, payload]);
}

function extensionBlock(extensions: Readonly<Record<number, Uint8Array>>): Buffer {
  const elements = Object.entries(extensions).map(([id, data]) =>
    Buffer.concat([Buffer.of((Number(id) << 4) | (data.length - 1)), data]),
  );
  if (elements.length === 0) return Buffer.alloc(0);
  const body = Buffer.concat(elements);
  const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
  return Buffer.concat([Buffer.of(0xbe, 0xde, 0, padded.length / 4), padded]);
}
