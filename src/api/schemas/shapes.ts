import { type Static, type TSchema, type TUnsafe, Type } from '@sinclair/typebox';
import { DEFAULT_PAGE, MAX_PAGE } from '../../core/index.js';

/** The body of every error: it has all properties that any version of the published clients reads. */
export const ErrorSchema = component(
  'Error',
  Type.Object(
    {
      error: Type.String({ description: 'What went wrong, for people.' }),
      message: Type.String({ description: 'The same as `error`; `Unauthorized` for a 401.' }),
      code: Type.Integer({ description: 'The HTTP status.' }),
      reason: Type.String({
        description: 'What went wrong, as a stable code for programs.',
        examples: ['PATCHBAY_SESSION_FULL'],
      }),
      requestId: Type.String({ description: 'Also in the `X-Request-Id` header and in the log.' }),
    },
    { description: 'The body of every response with a status of 400 or more.' },
  ),
);

const DESCRIPTIONS = {
  400: 'The request is not as documented.',
  401: 'The credentials are missing, wrong, or belong to another account than the one in the path.',
  403: 'The operator does not allow it.',
  404: 'Not in this account, or deleted.',
  409: 'Not possible now.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  429: 'Too many requests of this account; retry after `Retry-After` seconds.',
  500: 'Internal error; find it in the log of the gateway by the `requestId`.',
  503:
    'The gateway is overloaded, is stopping, or cannot write to its database. Nothing was done, unless `reason` is ' +
    '`PATCHBAY_STORE_FAILED`: then the change is in effect, and will be written once the database takes writes.',
} as const;

const answer = (status: ErrorStatus) => ({ ...ref(ErrorSchema), description: DESCRIPTIONS[status] });

/** Query parameters for pages. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_PAGE,
      default: DEFAULT_PAGE,
      description: 'Most items on a page. A page also ends at 1 MB.',
    }),
  ),
  cursor: Type.Optional(Type.String({ format: 'uuid', description: 'The `next` of the previous page.' })),
};

/** Query parameters of a listing that can be filtered by tag. */
export const ListQuerySchema = Type.Object({
  tag: Type.Optional(text(50, 'Only those with exactly this tag.')),
  ...pageQuery,
});

/** A schema with a name in the OpenAPI document. */
export function component<T extends TSchema>($id: string, schema: T): T {
  return { ...schema, $id };
}

/** A reference to a {@link component}. */
export function ref<T extends TSchema>(to: T, description?: string): TUnsafe<Static<T>> {
  return Type.Unsafe<Static<T>>({ $ref: `${to.$id ?? ''}#`, ...(description ? { description } : {}) });
}

/** A property of a response that is left out, never null, when it has no value. */
export function absentable<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Unsafe<Static<T> | undefined>(schema));
}

/** How media are carried in one direction. */
export const MediaFormatSchema = component(
  'MediaFormat',
  Type.Object(
    {
      codecs: listOf(Type.String({ examples: ['PCMU', 'opus', 'VP8'] }), {
        description: 'Names of the codecs, as in SDP. A browser may have several.',
      }),
      encryption: Type.String({
        description: 'The crypto suite of SDES (RFC 4568), `DTLS-SRTP`, or `none`.',
        examples: ['AES_CM_128_HMAC_SHA1_80', 'DTLS-SRTP', 'none'],
      }),
    },
    { description: 'How media are carried in one direction.' },
  ),
);

const count = (description: string) => absentable(Type.Integer({ description }));

const measure = (description: string) => absentable(Type.Number({ description }));

const DirectionQualitySchema = component(
  'DirectionQuality',
  Type.Object(
    {
      packets: Type.Integer({ description: 'Packets of audio.' }),
      lost: count('Packets that the network lost. It never falls.'),
      discarded: count('Packets that came, but too late or too many to be played.'),
      jitterMs: measure('Jitter of arrival (RFC 3550), at present.'),
      roundTripMs: measure('To the device and back, smoothed.'),
      concealedMs: count('Audio that was made up in place of missing packets, in ms.'),
      levelDb: measure(
        'Level of speech, in dB relative to full scale, as far as it is measured (`speaking`).',
      ),
      mos: measure(
        'Mean opinion score, 1 to 4.5, by the E-model of ITU-T G.107 (PCMU, PCMA), G.107.1 (G722) or G.107.2 (opus), ' +
          'each with a scale of its own.',
      ),
      mosIsEstimate: absentable(
        Type.Boolean({ description: 'Present when the ITU has published no values of the codec for `mos`.' }),
      ),
    },
    {
      description: 'The audio of one direction since the device connected; what was not measured is absent.',
    },
  ),
);

/** How the audio of a device fares. */
export const QualitySchema = component(
  'Quality',
  Type.Object({
    received: ref(DirectionQualitySchema, 'What comes from the device.'),
    sent: ref(DirectionQualitySchema, 'What is sent to it, as it reports (RTCP).'),
  }),
);

export const qualityComponents = [DirectionQualitySchema, QualitySchema];

/** A list in a response. */
export function listOf<T extends TSchema>(schema: T, options: { readonly description?: string } = {}) {
  return Type.Unsafe<readonly Static<T>[]>(Type.Array(schema, options));
}

/** A request body that may be left out. */
export function optionalBody<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T> | undefined>(ref(schema));
}

/** An enumeration: a request may use any case, responses use upper case. */
export function word<T extends string>(words: readonly T[], description: string) {
  return Type.Unsafe<T>({ type: 'string', transform: ['toEnumCase'], enum: [...words], description });
}

/** Text that can be stored and logged unchanged: no NUL character, no lone surrogate. */
export function text(maxLength: number, description: string) {
  return Type.String({ maxLength, pattern: '^[^\\u0000\\p{Cs}]*$', description });
}

/** An http or https URL. */
export function webUrl(description: string) {
  return Type.String({ maxLength: 2048, format: 'web-url', description });
}

/** A time in a response. */
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

/** The errors of an operation that changes nothing: the common ones and `own`. */
export function readErrors(...own: readonly 404[]) {
  return answers([400, 401, 429, 500, 503, ...own]);
}

/** The errors of an operation that changes something: the common ones and `own`. */
export function writeErrors(...own: readonly (403 | 404 | 409)[]) {
  return answers([400, 401, 413, 415, 429, 500, 503, ...own]);
}

function answers(statuses: readonly ErrorStatus[]) {
  return Object.fromEntries(statuses.map((status) => [status, answer(status)]));
}
