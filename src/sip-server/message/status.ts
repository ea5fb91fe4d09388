/** Reason phrases of the statuses that this server sends by itself. */
const PHRASES: ReadonlyMap<number, string> = new Map([
  [100, 'Trying'],
  [200, 'OK'],
  [400, 'Bad Request'],
  [405, 'Method Not Allowed'],
  [408, 'Request Timeout'],
  [416, 'Unsupported URI Scheme'],
  [420, 'Bad Extension'],
  [422, 'Session Interval Too Small'],
  [480, 'Temporarily Unavailable'],
  [481, 'Call/Transaction Does Not Exist'],
  [482, 'Loop Detected'],
  [483, 'Too Many Hops'],
  [487, 'Request Terminated'],
  [491, 'Request Pending'],
  [500, 'Server Internal Error'],
  [501, 'Not Implemented'],
  [503, 'Service Unavailable'],
  [504, 'Server Time-out'],
  [505, 'Version Not Supported'],
  [513, 'Message Too Large'],
]);

/** The reason phrase of a status. */
export function reasonPhrase(status: number): string {
  return PHRASES.get(status) ?? 'Unknown';
}
