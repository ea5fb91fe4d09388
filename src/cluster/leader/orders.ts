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

/** When a device was admitted, as far as is known, and when it was connected by its edge's clock (epoch ms). */
export interface AdmittedAt {
  readonly order?: Order | undefined;
  readonly connectedAt: number;
}

/** Whether one device was admitted after another. A new process of an edge does not know the order of what it carries on. */
export function isAdmittedLater(one: AdmittedAt, other: AdmittedAt): boolean {
  if (one.order && other.order) return isLater(one.order, other.order);
  return one.connectedAt >= other.connectedAt;
}

function isLater(one: Order, other: Order): boolean {
  return one[0] > other[0] || (one[0] === other[0] && one[1] > other[1]);
}
