/**
 * Clients before 0.12 use circular-json, in which `~` is special: it writes the first `~` of a string as `\x7e`, and
 * reads a string that begins with `~` as a reference.
 */
const WRITTEN_TILDE = '\\x7e';

/** Sent back with the type that the client used. */
export type RequestId = string | number;

export type IncomingMessage =
  | { readonly type: 'call'; readonly id: RequestId; readonly method: string; readonly params: unknown }
  | { readonly type: 'notification'; readonly method: string; readonly params: unknown }
  | { readonly type: 'invalid'; readonly id: RequestId | null; readonly error: RpcError };

/** JSON-RPC 2.0 section 5.1, which leaves the codes from -32000 to -32099 to servers. */
export const RPC_CODES = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  rejected: -32000,
  tooMany: -32001,
} as const;

/** An error that answers a call. The client passes it to the page unchanged. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;

  constructor(code: keyof typeof RPC_CODES, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = RPC_CODES[code];
  }
}

const MAX_ID_LENGTH = 128;
const MAX_METHOD_LENGTH = 64;

type Fields = Readonly<Record<string, unknown>>;

/** Whether a parsed value is a JSON object. */
export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads JSON-RPC 2.0 messages and writes ours, in plain JSON or in circular-json for clients before 0.12. */
export class JsonRpcFormat {
  readonly #circular: boolean;

  constructor(options: { readonly circular: boolean }) {
    this.#circular = options.circular;
  }

  /** Reads one text frame; never throws. */
  parse(text: string): IncomingMessage {
    let value: unknown;
    try {
      value = this.#circular && text.includes('x7e') ? JSON.parse(text, decodeCircular) : JSON.parse(text);
    } catch (cause) {
      const error = new RpcError('parseError', 'The message is not JSON.', { cause });
      return { type: 'invalid', id: null, error };
    }
    return readMessage(value);
  }

  result(id: RequestId, result: object): string {
    return this.#write({ jsonrpc: '2.0', result, id });
  }

  error(id: RequestId | null, { code, message }: RpcError): string {
    return this.#write({ jsonrpc: '2.0', error: { code, message }, id });
  }

  notification(method: string, params: object): string {
    return this.#write({ jsonrpc: '2.0', method, params });
  }

  #write(message: object): string {
    return this.#circular ? JSON.stringify(message, encodeCircular) : JSON.stringify(message);
  }
}

const decodeCircular = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? fromCircular(value) : value;

const encodeCircular = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? toCircular(value) : value;

function readMessage(value: unknown): IncomingMessage {
  if (!isObject(value)) return invalid(null, 'A message must be a JSON object.');
  const { id, method, params, jsonrpc } = value;
  const known = isRequestId(id) ? id : null;
  if (jsonrpc !== '2.0') return invalid(known, 'jsonrpc must be "2.0".');
  if (typeof method !== 'string' || method === '' || method.length > MAX_METHOD_LENGTH) {
    return invalid(known, 'method must be a short string.');
  }
  // The 0.9 client sends `params: null` where 0.12 sends none.
  if (id === undefined || id === null) return { type: 'notification', method, params: params ?? {} };
  if (known === null) return invalid(null, 'id must be a number or a short string.');
  return { type: 'call', id: known, method, params: params ?? {} };
}

function isRequestId(id: unknown): id is RequestId {
  return typeof id === 'string' ? id.length <= MAX_ID_LENGTH : typeof id === 'number';
}

function invalid(id: RequestId | null, message: string): IncomingMessage {
  return { type: 'invalid', id, error: new RpcError('invalidRequest', message) };
}

/** Whether the client of this SDK version uses circular-json. */
export function speaksCircularJson(sdkVersion: string): boolean {
  const match = /^0\.(\d+)\./.exec(sdkVersion);
  return match !== null && Number(match[1]) < 12;
}

/** Decodes a string of circular-json as it does itself: only the first occurrence of each. */
export function fromCircular(text: string): string {
  return text
    .replace(/(^|[^\\])\\x7e/, (_, before: string) => `${before}~`)
    .replace(`\\${WRITTEN_TILDE}`, () => WRITTEN_TILDE);
}

/** Encodes a string as circular-json does. */
export function toCircular(text: string): string {
  return text.replace(WRITTEN_TILDE, () => `\\${WRITTEN_TILDE}`).replace('~', () => WRITTEN_TILDE);
}
