/** Bounds of what the core holds. */
export interface Limits {
  /** Participants in one session, phones included. */
  readonly membersPerSession: number;
  /** Characters of a session's or participant's tag. */
  readonly tagLength: number;
  /** Participants and aliases together in one subscription. */
  readonly subscriptionEntries: number;
  /** Streams that one device may publish at a time; more are dropped and counted. */
  readonly streamsPerDevice: number;
  readonly sessionsPerAccount: number;
  readonly participantsPerAccount: number;
  /** Devices of one account that are connected at once. */
  readonly devicesPerAccount: number;
  /** What the core keeps, in estimated bytes: in all, and for one account. */
  readonly bytes: number;
  readonly bytesPerAccount: number;
  /** How long a session lives, in ms. */
  readonly sessionLifetimeMs: number;
  /** How long a participant and its token live, in ms. */
  readonly participantLifetimeMs: number;
}

const HOUR_MS = 3_600_000;
const MEBIBYTE = 1_048_576;

/** The limits of the API that the clients were written against, and generous ones where it names none. */
export const DEFAULT_LIMITS: Limits = {
  membersPerSession: 20,
  tagLength: 50,
  subscriptionEntries: 1_000,
  streamsPerDevice: 32,
  sessionsPerAccount: 100_000,
  participantsPerAccount: 200_000,
  devicesPerAccount: Number.POSITIVE_INFINITY,
  bytes: 1_024 * MEBIBYTE,
  bytesPerAccount: 512 * MEBIBYTE,
  sessionLifetimeMs: 9 * HOUR_MS,
  participantLifetimeMs: 9 * HOUR_MS,
};
