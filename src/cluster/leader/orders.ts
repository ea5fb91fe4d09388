import type { Order, StatedDevice } from '../messages.js';
import type { LostMark } from './edge-store.js';

/** Whether a device was ended without the knowledge of its edge. */
export function wasLost(
  { order, isCarried, connectedAt }: Pick<StatedDevice, 'order' | 'isCarried' | 'connectedAt'>,
  mark: LostMark | undefined,
): boolean {
  if (!mark) return false;
  // A new process of the edge does not know the order of what it carries on.
  if (order) return mark.order !== undefined && !isLater(order, mark.order);
  return isCarried && connectedAt < mark.at;
}

export function isLater(one: Order, other: Order): boolean {
  return one[0] > other[0] || (one[0] === other[0] && one[1] > other[1]);
}
