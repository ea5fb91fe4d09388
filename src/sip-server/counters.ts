/** Counters since the start of the SIP server. Each `dropped…` counts messages dropped or refused for one reason. */
export interface SipCounters {
  requestsIn: number;
  requestsOut: number;
  responsesIn: number;
  responsesOut: number;
  droppedNotAllowed: number;
  droppedRateLimited: number;
  /** New requests from addresses in the allow-list that got 503 because they exceeded the rate. */
  refusedOverRate: number;
  /** New requests that got 503 because too many were waiting. */
  refusedCrowded: number;
  /** New requests that got 503 because they may have waited in the socket's buffer for too long. */
  refusedStale: number;
  /** New INVITEs that got 503 because `SipAdmission` refused them. */
  refusedNotAdmitted: number;
  /** Requests that got 405 or 501: no application takes their method. */
  refusedMethod: number;
  /** Requests that got 422: the session interval that they ask for is too short. */
  refusedInterval: number;
  /** Requests that got 481: they belong to no call. */
  refusedUnknownCall: number;
  /** Requests that the server refused by itself with another status. */
  refusedOther: number;
  droppedScanner: number;
  droppedUnreadable: number;
  droppedAmplification: number;
  /** Connections refused because the table was full or the address is not allowed. */
  droppedConnections: number;
  /** Connections closed to make room for others. */
  closedForRoom: number;
  /** Connections closed because no valid message came in time. */
  closedSilent: number;
  /** Connections closed because a message was not completed in time. */
  closedHalfMessage: number;
  /** Connections closed because the peer did not read. */
  closedUnread: number;
  /** Application connections closed because they did not authenticate in time, or to make room for others. */
  closedUnauthenticated: number;
  droppedTransactions: number;
  droppedDialogs: number;
  droppedProxiedDialogs: number;
  /** Requests for which the router made no decision. */
  droppedUnrouted: number;
  droppedStray: number;
  droppedAppBacklog: number;
}

/** New counters, all zero. */
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
    refusedMethod: 0,
    refusedInterval: 0,
    refusedUnknownCall: 0,
    refusedOther: 0,
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
