import { isRtcp, rtpPayloadOffset, writeRtpHeader } from '../../src/media/rtp/index.js';

const HEADER = 12;
const TIME_LENGTH = 8;

interface FlowOptions {
  readonly ssrc: number;
  readonly payloadType: number;
  /** Payload bytes of each packet, at least 8. */
  readonly size: number;
  /** Timestamp units from burst to burst. */
  readonly step: number;
}

/** Makes the packets of a flow. Each holds the time at which it was made. */
export class Flow {
  readonly #options: FlowOptions;
  readonly #packet: Buffer;
  #sequence = 0;
  #timestamp = 0;

  constructor(options: FlowOptions) {
    this.#options = options;
    this.#packet = Buffer.alloc(HEADER + options.size, 0x55);
  }

  /** The next packet, valid until the one after. */
  next(marker: boolean): Buffer {
    const { payloadType, ssrc, step } = this.#options;
    writeRtpHeader(this.#packet, payloadType, marker, this.#sequence & 0xffff, this.#timestamp, ssrc);
    this.#packet.writeDoubleBE(performance.now(), HEADER);
    this.#sequence += 1;
    if (marker) this.#timestamp = (this.#timestamp + step) >>> 0;
    return this.#packet;
  }
}

/** Ms since a packet of a {@link Flow} was made, in this process; undefined for other packets. */
export function ageOf(packet: Buffer): number | undefined {
  if (isRtcp(packet)) return undefined;
  // The gateway adds header extensions before the payload.
  const offset = rtpPayloadOffset(packet);
  if (offset < 0 || packet.length < offset + TIME_LENGTH) return undefined;
  return performance.now() - packet.readDoubleBE(offset);
}
