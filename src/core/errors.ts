/** HTTP and SIP status of every error code of the gateway: the one table. */
const STATUS = {
  PATCHBAY_BAD_REQUEST: { http: 400, sip: 400 },
  PATCHBAY_UNAUTHORIZED: { http: 401, sip: 403 },
  PATCHBAY_FORBIDDEN: { http: 403, sip: 403 },
  /** A page of another site had a browser that is signed in at the console make this request. */
  PATCHBAY_CROSS_SITE: { http: 403, sip: 403 },
  PATCHBAY_TOKEN_INVALID: { http: 401, sip: 403 },
  PATCHBAY_TOKEN_EXPIRED: { http: 401, sip: 403 },
  PATCHBAY_TOKENS_DISAGREE: { http: 400, sip: 400 },
  PATCHBAY_NOT_FOUND: { http: 404, sip: 404 },
  PATCHBAY_METHOD_NOT_ALLOWED: { http: 405, sip: 405 },
  PATCHBAY_SESSION_NOT_FOUND: { http: 404, sip: 404 },
  PATCHBAY_PARTICIPANT_NOT_FOUND: { http: 404, sip: 404 },
  PATCHBAY_DEVICE_NOT_FOUND: { http: 404, sip: 404 },
  /** There is no such call, or nothing is kept of it. */
  PATCHBAY_CALL_NOT_FOUND: { http: 404, sip: 404 },
  /** No uploaded file has this name. */
  PATCHBAY_MEDIA_NOT_FOUND: { http: 404, sip: 404 },
  /** The file cannot be played. */
  PATCHBAY_BAD_MEDIA: { http: 400, sip: 400 },
  PATCHBAY_NOT_A_MEMBER: { http: 404, sip: 404 },
  PATCHBAY_IN_OTHER_SESSION: { http: 409, sip: 480 },
  PATCHBAY_SESSION_FULL: { http: 409, sip: 480 },
  /** The gateway suppresses the noise of as many participants as it may. */
  PATCHBAY_NOISE_SUPPRESSION_FULL: { http: 409, sip: 480 },
  /** The account has a test call under way. */
  PATCHBAY_TEST_CALL_RUNNING: { http: 409, sip: 480 },
  PATCHBAY_ALREADY_CONNECTED: { http: 409, sip: 486 },
  /** The device is of a kind that lacks this capability. */
  PATCHBAY_DEVICE_CANNOT: { http: 409, sip: 488 },
  PATCHBAY_PAYLOAD_TOO_LARGE: { http: 413, sip: 513 },
  PATCHBAY_UNSUPPORTED_MEDIA_TYPE: { http: 415, sip: 415 },
  PATCHBAY_TOO_MANY_REQUESTS: { http: 429, sip: 503 },
  /** Concerns one account only, so not 503: after that a carrier would send no calls at all for a while. */
  PATCHBAY_TOO_MANY_CALLS: { http: 429, sip: 480 },
  PATCHBAY_NO_COMMON_CODEC: { http: 488, sip: 488 },
  PATCHBAY_NO_COMMON_TRANSPORT: { http: 488, sip: 488 },
  PATCHBAY_BAD_SDP: { http: 400, sip: 488 },
  PATCHBAY_OVERLOADED: { http: 503, sip: 503 },
  /** What was asked for was not done: the database takes no writes. */
  PATCHBAY_STORE_UNAVAILABLE: { http: 503, sip: 503 },
  /** What was asked for was done, but is not on disk yet. */
  PATCHBAY_STORE_FAILED: { http: 503, sip: 503 },
  /** The gateway has no connection to the leader, or the leader none to the gateway that has the device. */
  PATCHBAY_NO_LEADER: { http: 503, sip: 503 },
  PATCHBAY_SHUTTING_DOWN: { http: 503, sip: 503 },
  PATCHBAY_INTERNAL: { http: 500, sip: 500 },
} as const satisfies Record<string, { http: number; sip: number }>;

/** Stable, so that programs can depend on it. */
export type ErrorCode = keyof typeof STATUS;

export const ERROR_CODES = Object.keys(STATUS) as readonly ErrorCode[];

/**
 * An error with a stable code and a message for whoever can act on it.
 * The message is shown to the caller: it never holds a token or a secret.
 */
export class PatchbayError extends Error {
  override readonly name = 'PatchbayError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Status to answer a REST request with. */
  get httpStatus(): number {
    return STATUS[this.code].http;
  }

  /** Status to refuse a SIP request with. */
  get sipStatus(): number {
    return STATUS[this.code].sip;
  }
}
