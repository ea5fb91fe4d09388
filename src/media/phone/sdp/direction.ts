/** Media directions (RFC 8866 section 6.7), always said from one side's own view. */
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** Whether a side with this direction sends. */
export const sends = (direction: Direction): boolean => direction === 'sendrecv' || direction === 'sendonly';
/** Whether a side with this direction receives. */
export const receives = (direction: Direction): boolean =>
  direction === 'sendrecv' || direction === 'recvonly';

/** The same from the other side's view; what one who wants everything answers (RFC 3264 section 6.1). */
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
