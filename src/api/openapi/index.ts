import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { putHeaders } from '../headers.js';
import type { Api } from '../instance.js';
import { description, tags } from './prose.js';
import { webhooks } from './webhooks.js';

/** The page needs nothing from elsewhere, and works over plain HTTP. */
const DOCS_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'";

/**
 * Serves the OpenAPI 3.1 document at `/openapi.json` and a page to read it at `/docs`. The document is made
 * from the schemas that the routes validate with. To be called before routes are added.
 */
export function serveOpenApi(api: Api): void {
  api.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Patchbay', version: '1', description },
      servers: [{ url: '/', description: 'This gateway' }],
      tags,
      security: [{ basic: [] }],
      components: { securitySchemes: { basic: { type: 'http', scheme: 'basic' } } },
      webhooks,
    },
    transformObject: (document) => ('openapiObject' in document ? published(document.openapiObject) : {}),
    refResolver: { buildLocalReference: ({ $id }, _base, _fragment, index) => localName($id, index) },
  });
  api.register((scope: Api, _options, done) => {
    scope.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
      putHeaders(reply);
      return reply.type('application/json').send(JSON.stringify(api.swagger()));
    });
    done();
  });
  api.register((scope: Api, _options, done) => {
    scope.addHook('onRequest', (_request, reply, next) => {
      reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
      next();
    });
    scope.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: DOCS_POLICY,
      validatorUrl: false,
      uiConfig: { deepLinking: true, docExpansion: 'list', layout: 'BaseLayout' },
      theme: { title: 'Patchbay API' },
    });
    done();
  });
}

/** The document without what only the validator understands. */
function published<T>(document: T): T {
  const text = JSON.stringify(document, (name, value: unknown) =>
    name === 'transform' && Array.isArray(value) ? undefined : value,
  );
  return JSON.parse(text) as T;
}

function localName($id: unknown, index: number): string {
  return typeof $id === 'string' ? $id : `def-${index}`;
}
