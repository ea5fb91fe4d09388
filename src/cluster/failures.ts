import { PatchbayError } from '../core/index.js';
import type { Failure } from './messages.js';

/** An error as plain data. One that is not meant for others is told as an internal one. */
export function failureOf(error: unknown): Failure {
  if (error instanceof PatchbayError) return { code: error.code, message: error.message };
  return { code: 'PATCHBAY_INTERNAL', message: 'The gateway failed; its log says why.' };
}

export function errorOf({ code, message }: Failure): PatchbayError {
  return new PatchbayError(code, message);
}
