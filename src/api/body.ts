import { PatchbayError } from '../core/index.js';
import type { Api } from './instance.js';

/**
 * Takes JSON, and nothing where a body may be left out: published clients send `Content-Type:
 * application/json` with `Content-Length: 0`. Anything else is refused, so that no page of another site can
 * make a browser send a request without asking first.
 */
export function acceptBodies(api: Api): void {
  const parseJson = api.getDefaultJsonParser('error', 'error');
  api.removeAllContentTypeParsers();
  api.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, text, done) => {
    if (text === '') done(null, undefined);
    else {
      void parseJson(request, text, (error, json) => {
        done(error, text.includes('null') ? withoutNulls(json) : json);
      });
    }
  });
  api.addContentTypeParser<string>('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') done(null, undefined);
    else done(new PatchbayError('PATCHBAY_UNSUPPORTED_MEDIA_TYPE', 'Content-Type must be application/json.'));
  });
}

/** The same JSON without properties that are null: some clients send them for what they leave out. */
function withoutNulls(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withoutNulls);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).flatMap(([name, value]) => (value === null ? [] : [[name, withoutNulls(value)]])),
  );
}
