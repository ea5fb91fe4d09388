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

/** A log whose lines all carry these fields, asked for at each line. */
export function withFields(log: Log, fields: () => object): Log {
  return {
    debug: (own, message) => log.debug({ ...fields(), ...own }, message),
    info: (own, message) => log.info({ ...fields(), ...own }, message),
    warn: (own, message) => log.warn({ ...fields(), ...own }, message),
    error: (own, message) => log.error({ ...fields(), ...own }, message),
    isLevelEnabled: (level) => log.isLevelEnabled?.(level) ?? true,
  };
}
