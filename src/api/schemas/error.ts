import { Type } from '@sinclair/typebox';
import { component, ref } from './shapes.js';

/** The body of every error: a superset of what the published clients, old and new, look for. */
export const ErrorSchema = component(
  'Error',
  Type.Object(
    {
      error: Type.String({ description: 'What went wrong, in words.' }),
      message: Type.String({ description: 'The same; of a 401 always `Unauthorized`.' }),
      code: Type.Integer({ description: 'The HTTP status.' }),
      reason: Type.String({
        description: 'What went wrong, as a stable name for programs.',
        examples: ['PATCHBAY_SESSION_FULL'],
      }),
      requestId: Type.String({ description: 'Also in the `X-Request-Id` header and in the log.' }),
    },
    { description: 'What every answer with a status of 400 or more holds.' },
  ),
);

const DESCRIPTIONS = {
  400: 'Something in the request is not as documented.',
  401: 'The credentials are wrong, or are not those of the account in the path.',
  404: 'There is no such thing in this account, or not any more.',
  409: 'It cannot be done in the present state.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  429: 'Too many requests of this account; `Retry-After` says when to come back (seconds).',
  500: 'The gateway failed; its log says why, under the `requestId`.',
  503:
    'The gateway is too busy, going down, or its disk takes no writes: nothing was done, unless `reason` is ' +
    '`PATCHBAY_STORE_FAILED` (done, shown, and written once the disk takes it).',
} as const;

type ErrorStatus = keyof typeof DESCRIPTIONS;

const answer = (status: ErrorStatus) => ({ ...ref(ErrorSchema), description: DESCRIPTIONS[status] });

/** The errors that an operation which only looks may answer with: those of every one, and its own. */
export function readErrors(...own: readonly 404[]) {
  return answers([400, 401, 429, 500, 503, ...own]);
}

/** The errors that an operation which changes something may answer with: those of every one, and its own. */
export function writeErrors(...own: readonly (404 | 409)[]) {
  return answers([400, 401, 413, 415, 429, 500, 503, ...own]);
}

function answers(statuses: readonly ErrorStatus[]) {
  return Object.fromEntries(statuses.map((status) => [status, answer(status)]));
}
