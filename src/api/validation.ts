import { Ajv, type ErrorObject, type Options } from 'ajv';
import addKeywords from 'ajv-keywords';
import type { FastifySchemaCompiler, FastifySchemaValidationError } from 'fastify';
import { validate as isUuid } from 'uuid';
import { PatchbayError } from '../core/index.js';
import type { Api } from './instance.js';

/**
 * Compiles the validators of requests. Query parameters, which are text, are converted to numbers; bodies are not.
 * Errors say what is wrong and where.
 */
export function requestValidators(components: readonly object[]): FastifySchemaCompiler<object> {
  const bodies = compiler(components, {});
  const texts = compiler(components, { coerceTypes: true });
  return ({ schema, httpPart }) => {
    if (httpPart !== 'body') return texts.compile(schema);
    const validate = bodies.compile(schema);
    return (body: unknown) => {
      if (body === undefined || body === null) return { value: undefined };
      if (validate(body)) return { value: body };
      return { error: (validate.errors ?? []) as FastifySchemaValidationError[] };
    };
  };
}

function compiler(components: readonly object[], options: Options): Ajv {
  const ajv = new Ajv({ strict: true, ...options });
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

/** Says what is wrong with a request: `body/tag must NOT have more than 50 characters`. */
export function describeViolation(errors: readonly FastifySchemaValidationError[], part: string): Error {
  const [first] = errors as readonly ErrorObject[];
  const allowed: unknown = first?.keyword === 'enum' ? first.params['allowedValues'] : undefined;
  const choices = Array.isArray(allowed) ? `: ${allowed.join(', ')}` : '';
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
