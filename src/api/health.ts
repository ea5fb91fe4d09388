import { Type } from '@sinclair/typebox';
import type { Api } from './instance.js';

/** Whether the gateway can take calls. */
export type Readiness = 'starting' | 'ready' | 'overloaded' | 'draining' | 'store-unavailable' | 'no-leader';

const StatusSchema = Type.Object({ status: Type.String() });
const AliveSchema = Type.Object({ status: Type.String(), version: Type.String({ examples: ['0.1.0'] }) });

/** `/healthz`: the process is running. `/readyz`: it takes new calls. */
export function serveHealth(api: Api, readiness: () => Readiness, version: string): void {
  api.get(
    '/healthz',
    {
      schema: {
        operationId: 'isAlive',
        tags: ['Gateway'],
        summary: 'Whether the gateway is running',
        security: [],
        response: { 200: { ...AliveSchema, description: 'The gateway is running.' } },
      },
    },
    () => ({ status: 'alive', version }),
  );
  api.get(
    '/readyz',
    {
      schema: {
        operationId: 'isReady',
        tags: ['Gateway'],
        summary: 'Whether the gateway takes new calls',
        security: [],
        response: {
          200: { ...StatusSchema, description: '`ready`' },
          503: {
            ...StatusSchema,
            description:
              '`starting`, `draining`, `store-unavailable`: its database takes no writes, `overloaded`: calls have been ' +
              'refused for more than 10 s, or `no-leader`: it has no connection to the gateway that leads',
          },
        },
      },
    },
    (_request, reply) => {
      const status = readiness();
      void reply.code(status === 'ready' ? 200 : 503);
      return { status };
    },
  );
}
