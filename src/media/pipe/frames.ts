import type { SubscriberLimits, ClockReading, TrackCodec } from '../track.js';
import type { MediaKind } from '../types.js';
import type { RecordChannel } from './record-channel.js';

/** Types of frames. The numbers of tracks are the sending end's, each used once in a connection. */
export const FRAME = {
  /** A stream as it is now: JSON ({@link StreamFrame}). */
  stream: 1,
  packet: 2,
  clock: 3,
  /** Feedback: a key frame is wanted. */
  keyFrame: 4,
  /** Feedback: what the subscribers of a video can take. */
  bitrate: 5,
} as const;

/** The packet is an RFC 4733 event. */
const TELEPHONE_EVENT = 1;
/** The packet belongs to the kept picture: it is kept, and not played. */
const KEPT = 2;
/** The packet describes comfort noise. */
const COMFORT_NOISE = 4;

/** Track, flags, payload offset, padding, age of a kept picture. */
const PACKET_HEADER = 13;
const CLOCK_LENGTH = 16;
const TRACK_LENGTH = 4;
const BITRATE_HEADER = 5;
/** Most subscribers that are told of: a session has far fewer. */
const MAX_LIMITS = 512;

/** A track of a stream that is sent. */
export interface TrackFrame {
  readonly number: number;
  readonly kind: MediaKind;
  readonly codec: TrackCodec;
}

/** A stream that is sent; one without tracks has ended. */
export interface StreamFrame {
  readonly streamId: string;
  readonly publisherMsid?: string | undefined;
  readonly tracks: readonly TrackFrame[];
}

/** Writes a stream. An `a=fmtp` that is too long for a frame is left out. */
export function writeStream(channel: RecordChannel, stream: StreamFrame): void {
  const bytes = Buffer.from(JSON.stringify(stream));
  bytes.copy(channel.out, channel.reserve(FRAME.stream, bytes.length));
}

/** @throws Error */
export function readStream(bytes: Buffer, start: number, end: number): StreamFrame {
  const stream = JSON.parse(bytes.toString('utf8', start, end)) as Partial<StreamFrame>;
  if (typeof stream.streamId !== 'string' || !Array.isArray(stream.tracks))
    throw new Error('A stream makes no sense.');
  return stream as StreamFrame;
}

/** A packet as it crosses; the fields are reused for the next one. */
export interface PacketFrame {
  track: number;
  telephoneEvent: boolean;
  comfortNoise: boolean;
  kept: boolean;
  /** Of a kept packet: how long ago the picture's newest packet came, in ms. */
  ageMs: number;
  payloadOffset: number;
  payloadEnd: number;
  /** Where the packet is. */
  start: number;
  length: number;
}

/** What a packet is, if it is not of the track's codec. */
export type PacketKind = 'telephoneEvent' | 'comfortNoise' | undefined;

/** Writes a packet. @param ageMs of a kept packet; -1: it is a new one */
export function writePacket(
  channel: RecordChannel,
  track: number,
  packet: Buffer,
  payloadOffset: number,
  payloadEnd: number,
  kind: PacketKind,
  ageMs: number,
): void {
  const at = channel.reserve(FRAME.packet, PACKET_HEADER + packet.length);
  const { out } = channel;
  out.writeUInt32BE(track, at);
  out[at + 4] = flagOf(kind) | (ageMs < 0 ? 0 : KEPT);
  out.writeUInt16BE(payloadOffset, at + 5);
  out.writeUInt16BE(packet.length - payloadEnd, at + 7);
  out.writeUInt32BE(ageMs < 0 ? 0 : Math.min(0xffffffff, Math.round(ageMs)), at + 9);
  packet.copy(out, at + PACKET_HEADER);
}

const flagOf = (kind: PacketKind): number =>
  kind === 'telephoneEvent' ? TELEPHONE_EVENT : kind === 'comfortNoise' ? COMFORT_NOISE : 0;

/** @throws Error */
export function readPacket(bytes: Buffer, start: number, end: number, into: PacketFrame): void {
  require(end - start >= PACKET_HEADER);
  const length = end - start - PACKET_HEADER;
  const flags = bytes[start + 4]!;
  into.track = bytes.readUInt32BE(start);
  into.telephoneEvent = (flags & TELEPHONE_EVENT) !== 0;
  into.comfortNoise = (flags & COMFORT_NOISE) !== 0;
  into.kept = (flags & KEPT) !== 0;
  into.payloadOffset = bytes.readUInt16BE(start + 5);
  into.payloadEnd = length - bytes.readUInt16BE(start + 7);
  into.ageMs = bytes.readUInt32BE(start + 9);
  into.start = start + PACKET_HEADER;
  into.length = length;
  require(into.payloadEnd >= into.payloadOffset);
}

export function writeClock(channel: RecordChannel, track: number, clock: ClockReading): void {
  const at = channel.reserve(FRAME.clock, CLOCK_LENGTH);
  channel.out.writeUInt32BE(track, at);
  channel.out.writeUInt32BE(clock.ntpSeconds, at + 4);
  channel.out.writeUInt32BE(clock.ntpFraction, at + 8);
  channel.out.writeUInt32BE(clock.rtpTimestamp, at + 12);
}

/** @throws Error */
export function readClock(bytes: Buffer, start: number, end: number): ClockReading {
  require(end - start === CLOCK_LENGTH);
  return {
    ntpSeconds: bytes.readUInt32BE(start + 4),
    ntpFraction: bytes.readUInt32BE(start + 8),
    rtpTimestamp: bytes.readUInt32BE(start + 12),
  };
}

export function writeKeyFrame(channel: RecordChannel, track: number): void {
  channel.out.writeUInt32BE(track, channel.reserve(FRAME.keyFrame, TRACK_LENGTH));
}

/** The track that a frame of any type but `stream` is about. @throws Error */
export function readTrackNumber(bytes: Buffer, start: number, end: number): number {
  require(end - start >= TRACK_LENGTH);
  return bytes.readUInt32BE(start);
}

export function writeBitrate(
  channel: RecordChannel,
  track: number,
  { bitsPerSecond: limits, thinned }: SubscriberLimits,
): void {
  const told = limits.slice(0, MAX_LIMITS);
  const at = channel.reserve(FRAME.bitrate, BITRATE_HEADER + 8 * told.length);
  channel.out.writeUInt32BE(track, at);
  channel.out[at + 4] = thinned ? 1 : 0;
  for (const [i, limit] of told.entries()) channel.out.writeDoubleBE(limit, at + BITRATE_HEADER + 8 * i);
}

/** @throws Error */
export function readBitrate(bytes: Buffer, start: number, end: number): SubscriberLimits {
  const count = (end - start - BITRATE_HEADER) / 8;
  require(Number.isInteger(count) && count >= 0);
  const limits = Array.from({ length: count }, (_, i) => bytes.readDoubleBE(start + BITRATE_HEADER + 8 * i));
  require(limits.every((limit) => limit >= 0));
  return { bitsPerSecond: limits, thinned: bytes[start + 4] === 1 };
}

function require(isSound: boolean): void {
  if (!isSound) throw new Error('A frame makes no sense.');
}
