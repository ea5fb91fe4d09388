/** A call as its phone has seen it, times by `performance.now()`. */
export interface SeenCall {
  readonly callId: string;
  readonly phone: number;
  readonly invitedAt: number;
  /** When the 200 came; absent: the call was given up before. */
  answeredAt?: number;
  /** When the BYE went out, or came. */
  byeAt?: number;
  /** When REST was asked to end it. Its BYE may come with the next gateway. */
  removedAt?: number;
  /** When the BYE was answered. */
  overAt?: number;
  /** The gateway hung up, though neither the phone nor REST had. */
  isHungUpUnasked?: boolean;
  /** The last refresh of its session timer that failed. */
  failedRefresh?: string;
  /** Our request that ended it was answered otherwise than with 200, or the phone gave up. */
  trouble?: string;
}
