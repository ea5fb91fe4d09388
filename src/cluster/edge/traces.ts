import type { CallTrace, DeviceInfo, FailedCall } from '../../core/index.js';
import type { CloseReason } from '../messages.js';

/**
 * What is kept of the signalling of an edge's calls, as the edge sees it: it tells whose each call is and how it goes, and
 * gives the leader what it asks for.
 */
export interface Traces {
  /** The core has the device, or is asked to take it. */
  connected(device: DeviceInfo, accountId: string): void;
  /** A device of an earlier process, or of another edge, goes on here. */
  carriedOver(device: DeviceInfo, accountId: string): void;
  left(device: DeviceInfo, accountId: string, reason: CloseReason): void;
  /** A call was refused; its device never connected. */
  callFailed(call: FailedCall, accountId: string): void;
  /** As the account may see it. @returns undefined when there is nothing */
  of(accountId: string, externalId: string): CallTrace | undefined;
  /** @returns whether there was something */
  delete(accountId: string, externalId: string): boolean;
}
