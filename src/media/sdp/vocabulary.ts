/** Terms of SDP that readers and writers share. */

/** Media directions (RFC 8866 section 6.7), as seen by the side that wrote the SDP. */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** Whether a side with this direction sends. */
export const sends = (direction: Direction): boolean => direction === 'sendrecv' || direction === 'sendonly';

/** Whether a side with this direction receives. */
export const receives = (direction: Direction): boolean =>
  direction === 'sendrecv' || direction === 'recvonly';

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
