import { type Static, type TSchema, type TUnsafe, Type } from '@sinclair/typebox';
import { DEFAULT_PAGE, MAX_PAGE } from '../../core/index.js';

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
    { description: 'The body of every response with a status of 400 or more.' },
  ),
);

const DESCRIPTIONS = {
  400: 'The request is not as documented.',
  401: 'The credentials are missing, wrong or of another account than the one in the path.',
  404: 'Not found in this account, or deleted.',
  409: 'Not possible in the present state.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  429: 'Too many requests of this account; retry after `Retry-After` seconds.',
  500: 'Internal error; find it in the log of the gateway by the `requestId`.',
  503:
    'The gateway is overloaded, is stopping, or cannot write to its disk. Nothing was done, unless `reason` is ' +
    '`PATCHBAY_STORE_FAILED`: then the change is in effect, and is written as soon as the disk can be written to.',
} as const;

const answer = (status: ErrorStatus) => ({ ...ref(ErrorSchema), description: DESCRIPTIONS[status] });

/** How to continue a listing, and how much of it at a time. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_PAGE,
      default: DEFAULT_PAGE,
      description: 'Items on a page, at most: a page also ends at 1 MB.',
    }),
  ),
  cursor: Type.Optional(Type.String({ format: 'uuid', description: 'The `next` of the page before.' })),
};

/** Query of a listing that can be filtered by tag. */
export const ListQuerySchema = Type.Object({
  tag: Type.Optional(text(50, 'Only those with exactly this tag.')),
  ...pageQuery,
});

/** A schema that stands in the OpenAPI document under a name of its own. */
export function component<T extends TSchema>($id: string, schema: T): T {
  return { ...schema, $id };
}

/** A reference to a {@link component}. */
export function ref<T extends TSchema>(to: T, description?: string): TUnsafe<Static<T>> {
  return Type.Unsafe<Static<T>>({ $ref: `${to.$id ?? ''}#`, ...(description ? { description } : {}) });
}

/** A property of an answer that is left out, never null, when there is nothing to say. */
export function absentable<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Unsafe<Static<T> | undefined>(schema));
}

/** A list of an answer. */
export function listOf<T extends TSchema>(schema: T, options: { readonly description?: string } = {}) {
  return Type.Unsafe<readonly Static<T>[]>(Type.Array(schema, options));
}

/** A request body, which may be left out as a whole. */
export function optionalBody<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T> | undefined>(ref(schema));
}

/** One of some words: written in any case in a request, in upper case in an answer. */
export function word<T extends string>(words: readonly T[], description: string) {
  return Type.Unsafe<T>({ type: 'string', transform: ['toEnumCase'], enum: [...words], description });
}

/** Text that survives every store and log: no NUL character, no half of a surrogate pair. */
export function text(maxLength: number, description: string) {
  return Type.String({ maxLength, pattern: '^[^\\u0000\\p{Cs}]*$', description });
}

/** A moment in an answer. */
export const moment = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-01-31T12:00:00.000Z'] });

/** One page of a listing. */
export function pageOf<T extends TSchema>($id: string, item: T) {
  return component(
    $id,
    Type.Object({
      items: listOf(ref(item)),
      next: absentable(Type.String({ description: 'Continues the listing; absent on the last page.' })),
    }),
  );
}

type ErrorStatus = keyof typeof DESCRIPTIONS;

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
