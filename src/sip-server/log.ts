/** The few methods of a pino-like logger that the SIP server uses. */
export interface SipLog {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
  /** Whether debug lines are wanted; without it they are taken to be. */
  isLevelEnabled?(level: string): boolean;
}

/** Text of an unknown error, for a log line. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
