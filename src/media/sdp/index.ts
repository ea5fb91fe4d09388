import { parse, type SessionDescription } from 'sdp-transform';
import { MediaError } from '../types.js';

/** Whether a side with this direction sends. */
export const sends = (direction: Direction): boolean => direction === 'sendrecv' || direction === 'sendonly';

/** Whether a side with this direction receives. */
export const receives = (direction: Direction): boolean =>
  direction === 'sendrecv' || direction === 'recvonly';

/** Reads SDP of any peer, with limits for hostile input and checks of the parser's values; and the terms of SDP. */

/** Largest descriptions that are read; larger ones are refused before they are parsed. */
export interface SdpLimits {
  /** Characters. */
  readonly length: number;
  readonly lines: number;
  readonly lineLength: number;
  readonly sections: number;
}

/** @throws MediaError BAD_SDP when there are too many lines, or too long ones */
export function splitLines(sdp: string, limits: SdpLimits): string[] {
  if (sdp.length > limits.length) throw new MediaError('BAD_SDP', `SDP of ${sdp.length} bytes is too long.`);
  const lines = sdp.split(/\r\n|\r|\n/, limits.lines + 1);
  if (lines.length > limits.lines) throw new MediaError('BAD_SDP', 'The SDP has too many lines.');
  if (lines.some(({ length }) => length > limits.lineLength)) {
    throw new MediaError('BAD_SDP', 'The SDP has a line that is too long.');
  }
  return lines;
}

/** @throws MediaError BAD_SDP when there is no m-line, there are too many, or the SDP cannot be parsed */
export function parseLines(lines: readonly string[], { sections }: SdpLimits): SessionDescription {
  const count = lines.filter((line) => line.startsWith('m=')).length;
  if (count === 0) throw new MediaError('BAD_SDP', 'The SDP has no m-lines.');
  if (count > sections) throw new MediaError('BAD_SDP', `The SDP has more than ${sections} m-lines.`);
  try {
    return parse(lines.join('\r\n'));
  } catch (error) {
    throw new MediaError('BAD_SDP', 'The SDP cannot be parsed.', { cause: error });
  }
}

/** A value as text. Despite its types, the parser turns all that looks like a number into one, and leaves fields out. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** A value as an integer; 0 if it is none. */
export function integer(value: unknown): number {
  return Number.isInteger(Number(value)) ? Number(value) : 0;
}

/** The value of an `a=fmtp` parameter. Names are compared without case. */
export function fmtpParameter(fmtp: string | undefined, name: string): string | undefined {
  for (const pair of fmtp?.split(';') ?? []) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim().toLowerCase() === name)
      return pair.slice(equals + 1).trim();
  }
  return undefined;
}

/** Media directions (RFC 8866 section 6.7), as seen by the side that wrote the SDP. */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** The direction as seen by the other side: the answer of one that wants everything (RFC 3264 section 6.1). */
export function reverse(direction: Direction): Direction {
  switch (direction) {
    case 'sendonly':
      return 'recvonly';
    case 'recvonly':
      return 'sendonly';
    case 'sendrecv':
    case 'inactive':
      return direction;
  }
}

/** `opus/48000/2`, as in `a=rtpmap`; one channel is left out. */
export function encoding(codec: {
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
}): string {
  const channels = codec.channels > 1 ? `/${codec.channels}` : '';
  return `${codec.name}/${codec.clockRate}${channels}`;
}
