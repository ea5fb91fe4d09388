/** What the SIP server counts since its start. Every `dropped…` is traffic refused or thrown away, with its cause. */
export interface SipCounters {
  requestsIn: number;
  requestsOut: number;
  responsesIn: number;
  responsesOut: number;
  droppedNotAllowed: number;
  droppedRateLimited: number;
  /** New requests of addresses in the allow-list that got 503 for being over the rate. */
  refusedOverRate: number;
  /** New requests that got 503: too many were waiting. */
  refusedCrowded: number;
  /** New requests that got 503: they may have lain in the socket's queue for too long. */
  refusedStale: number;
  /** New calls that got 503, as those who decide on admission said. */
  refusedNotAdmitted: number;
  droppedScanner: number;
  droppedUnreadable: number;
  droppedAmplification: number;
  /** Connections that were refused for want of room, or of not being allowed. */
  droppedConnections: number;
  /** Connections that gave way to others. */
  closedForRoom: number;
  /** Connections on which no valid message came in time. */
  closedSilent: number;
  /** Connections on which a message was not ended in time. */
  closedHalfMessage: number;
  /** Connections whose peer did not read. */
  closedUnread: number;
  /** Connections of applications that did not authenticate in time, or gave way to others that may. */
  closedUnauthenticated: number;
  droppedTransactions: number;
  droppedDialogs: number;
  droppedProxiedDialogs: number;
  /** Requests on which the router did not decide. */
  droppedUnrouted: number;
  droppedStray: number;
  droppedAppBacklog: number;
}

/** Counters at zero. */
export function zeroCounters(): SipCounters {
  return {
    requestsIn: 0,
    requestsOut: 0,
    responsesIn: 0,
    responsesOut: 0,
    droppedNotAllowed: 0,
    droppedRateLimited: 0,
    refusedOverRate: 0,
    refusedCrowded: 0,
    refusedStale: 0,
    refusedNotAdmitted: 0,
    droppedScanner: 0,
    droppedUnreadable: 0,
    droppedAmplification: 0,
    droppedConnections: 0,
    closedForRoom: 0,
    closedSilent: 0,
    closedHalfMessage: 0,
    closedUnread: 0,
    closedUnauthenticated: 0,
    droppedTransactions: 0,
    droppedDialogs: 0,
    droppedProxiedDialogs: 0,
    droppedUnrouted: 0,
    droppedStray: 0,
    droppedAppBacklog: 0,
  };
}
