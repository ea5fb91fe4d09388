/** The part of a pino logger that all folders use. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** Whether lines of a level are written. Without this method, callers take it that all are. */
  isLevelEnabled?(level: string): boolean;
}

/** Text of an unknown error, for a log line. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
