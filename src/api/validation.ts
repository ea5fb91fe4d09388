import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import addKeywords from 'ajv-keywords';
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import { validate as isUuid } from 'uuid';
import { PatchbayError } from '../core/index.js';
import { nearestName } from '../shared/index.js';
import type { Api } from './instance.js';

/**
 * Compiles the validators of requests. Query parameters, which are text, are converted to numbers; bodies are not.
 * Errors say what is wrong and where.
 */
export function requestValidators(
  components: readonly { readonly $id?: string }[],
): FastifySchemaCompiler<object> {
  const names = new KnownNames(components);
  let bodies: Ajv | undefined;
  let texts: Ajv | undefined;
  // Made and used for the first request: all of it at the start would make that longer.
  const compile = (schema: object, httpPart: string | undefined): ValidateFunction =>
    httpPart === 'body'
      ? (bodies ??= compiler(components, {})).compile(schema)
      : (texts ??= compiler(components, { coerceTypes: true })).compile(schema);
  return ({ schema, httpPart }) => {
    let validate: ValidateFunction | undefined;
    return (value: unknown) => {
      if (value === undefined || value === null) return { value: undefined };
      const mistyped = names.mistyped(schema, value);
      if (mistyped !== undefined)
        return { error: new PatchbayError('PATCHBAY_BAD_REQUEST', `${httpPart ?? ''}${mistyped}`) };
      validate ??= compile(schema, httpPart);
      if (validate(value)) return { value };
      return { error: (validate.errors ?? []) as FastifySchemaValidationError[] };
    };
  };
}

function compiler(components: readonly object[], options: Options): Ajv {
  // With `verbose`, errors include the part of the schema with the examples. All schemas are ours, and the test of the
  // OpenAPI document checks them: checking them here would take longer than compiling those of most requests.
  const ajv = new Ajv({ strict: true, verbose: true, validateSchema: false, ...options });
  addKeywords.default(ajv, 'transform');
  ajv.addFormat('web-url', isWebUrl);
  ajv.addFormat('iso-8601', isTime);
  ajv.addFormat('uuid', isUuid);
  for (const schema of components) ajv.addSchema(schema);
  return ajv;
}

/** A date, or a date and time with a time zone. */
const ISO_8601 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

function isTime(time: string): boolean {
  return ISO_8601.test(time) && !Number.isNaN(Date.parse(time));
}

function isWebUrl(url: string): boolean {
  return URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
}

/** An example is easier to understand than a pattern or format. */
function exampleFor(error: ErrorObject | undefined): string {
  if (error?.keyword !== 'format' && error?.keyword !== 'pattern') return '';
  const [example] = (error.parentSchema?.['examples'] ?? []) as readonly unknown[];
  return example === undefined ? '' : `, for example ${JSON.stringify(example)}`;
}

/** A name with more wrong letters does not count as mistyped; fewer for short names, since those resemble each other. */
const mistakesIn = (name: string): number => (name.length < 8 ? 1 : 2);

interface ObjectSchema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, ObjectSchema>>;
  readonly items?: ObjectSchema;
}

/**
 * The names of properties. Unknown ones are ignored, so that an application can be newer than its gateway. One that
 * resembles a known one is probably mistyped, and ignoring it would do something other than what was meant.
 */
class KnownNames {
  readonly #components: ReadonlyMap<string, ObjectSchema>;

  constructor(components: readonly { readonly $id?: string }[]) {
    this.#components = new Map(components.map((schema) => [`${schema.$id ?? ''}#`, schema as ObjectSchema]));
  }

  /** Describes a mistyped name and what was meant; undefined if there is none. */
  mistyped(schema: ObjectSchema, value: unknown, path = ''): string | undefined {
    if (schema.$ref !== undefined) return this.mistyped(this.#components.get(schema.$ref) ?? {}, value, path);
    if (typeof value !== 'object' || value === null) return undefined;
    if (Array.isArray(value)) {
      if (!schema.items) return undefined;
      return firstOf(value.entries(), ([at, item]) => this.mistyped(schema.items!, item, `${path}/${at}`));
    }
    if (!schema.properties) return undefined;
    const known = schema.properties;
    return firstOf(Object.entries(value), ([name, inner]) => {
      if (Object.hasOwn(known, name)) return this.mistyped(known[name]!, inner, `${path}/${name}`);
      const meant = nearestName(name, Object.keys(known), mistakesIn(name));
      return meant === undefined ? undefined : `${path}/${name} is not a property; did you mean ${meant}?`;
    });
  }
}

function firstOf<T>(items: Iterable<T>, find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Says what is wrong with a request: `body/tag must NOT have more than 50 characters`. */
export function describeViolation(errors: readonly FastifySchemaValidationError[], part: string): Error {
  const [first] = errors as readonly ErrorObject[];
  const allowed: unknown = first?.keyword === 'enum' ? first.params['allowedValues'] : undefined;
  const choices = Array.isArray(allowed) ? `: ${allowed.join(', ')}` : exampleFor(first);
  return new Error(`${part}${first?.instancePath ?? ''} ${first?.message ?? 'is not valid'}${choices}`);
}

/**
 * Accepts JSON, and an empty body: published clients send `Content-Type: application/json` with `Content-Length: 0`.
 * Refuses other content types, so that a page of another site cannot make a browser send a request without a preflight.
 */
export function acceptBodies(api: Api): void {
  const parseJson = api.getDefaultJsonParser('error', 'error');
  api.removeAllContentTypeParsers();
  api.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null, undefined);
    else {
      void parseJson(request, text, (error, json) => {
        done(error, withoutNulls(json));
      });
    }
  });
  api.addContentTypeParser<string>('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') done(null, undefined);
    else done(new PatchbayError('PATCHBAY_UNSUPPORTED_MEDIA_TYPE', 'Content-Type must be application/json.'));
  });
}

/** The same JSON without properties that are null, which some clients send instead of leaving them out. */
function withoutNulls(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withoutNulls);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).flatMap(([name, value]) => (value === null ? [] : [[name, withoutNulls(value)]])),
  );
}
