/** Bounds of the queue. */
export interface QueueLimits {
  /**
   * Webhooks not delivered yet, each counted once for every 4 kB begun; beyond it one is dropped of the account that
   * has the most.
   */
  readonly size: number;
  /** Webhooks of one participant, so that none fills the queue alone; beyond it new ones are dropped. */
  readonly sizePerParticipant: number;
  /** Attempts under way at a time: in all, of one account, and of one account to one server. */
  readonly concurrency: number;
  readonly concurrencyPerAccount: number;
  readonly concurrencyPerServer: number;
  /** Attempts that an account may always have under way, whatever the others have. */
  readonly concurrencyOwn: number;
  /** The mean wait after the first failed attempt; it doubles with each further one. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /** A server that timed out so often in a row rests, as long as an event would after as many failures as rests. */
  readonly timeoutsBeforeRest: number;
  /** How old an event may become before it is given up. */
  readonly giveUpMs: number;
}

export const DEFAULT_QUEUE_LIMITS: QueueLimits = {
  size: 10_000,
  sizePerParticipant: 500,
  concurrency: 128,
  concurrencyPerAccount: 32,
  concurrencyPerServer: 16,
  concurrencyOwn: 4,
  firstRetryMs: 1_000,
  longestRetryMs: 60_000,
  timeoutsBeforeRest: 3,
  giveUpMs: 3_600_000,
};

/** What became of webhooks so far. */
export interface WebhookCounts {
  readonly waiting: number;
  readonly delivered: number;
  /** Attempts that failed, whatever became of the webhook. */
  readonly failedAttempts: number;
  readonly givenUp: number;
  readonly dropped: number;
  /** Of the dropped: because the participant had too many, or the queue was full and the account had the most. */
  readonly droppedOfParticipant: number;
  readonly droppedOfAccount: number;
  /** How often a server that timed out was left alone for a while. */
  readonly rests: number;
}
