export interface QueueLimits {
  /**
   * Undelivered webhooks, each counted once for every 4 kB or part of it. When the queue is full, the account that has
   * the most loses one.
   */
  readonly size: number;
  /** Webhooks of one participant, so that none fills the queue alone; more are dropped. */
  readonly sizePerParticipant: number;
  /** Attempts under way at a time: in all, of one account, and of one account to one server. */
  readonly concurrency: number;
  readonly concurrencyPerAccount: number;
  readonly concurrencyPerServer: number;
  /** Attempts that an account may have under way even if the others use up `concurrency`. */
  readonly concurrencyOwn: number;
  /** Mean wait after the first failed attempt; it doubles with each further one. */
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /**
   * After this many timeouts in a row a server is left alone. The n-th such rest is as long as the wait after the n-th
   * failed attempt of a webhook.
   */
  readonly timeoutsBeforeRest: number;
  /** Age at which an undelivered event is given up. */
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

export interface WebhookCounts {
  readonly waiting: number;
  readonly delivered: number;
  /** Failed attempts, whether or not the webhook was delivered later. */
  readonly failedAttempts: number;
  readonly givenUp: number;
  readonly dropped: number;
  /** Parts of `dropped`: the participant had too many; or the queue was full and the account had the most. */
  readonly droppedOfParticipant: number;
  readonly droppedOfAccount: number;
  /** How often a server was left alone for a while, since it timed out repeatedly. */
  readonly rests: number;
}
