import type { SessionControl } from '../../core/index.js';
import type { Api } from '../instance.js';
import {
  ListQuerySchema,
  NewSessionSchema,
  optionalBody,
  readErrors,
  ref,
  SessionDetailSchema,
  SessionPageSchema,
  SessionSchema,
  writeErrors,
} from '../schemas/index.js';
import { participantDetailView, sessionView } from '../views.js';
import { done, DoneSchema } from './done.js';
import { AccountPath, SessionPath } from './paths.js';

const tags = ['Sessions'];

/** Create, list, look at and delete sessions. */
export function sessionRoutes(api: Api, core: SessionControl): void {
  api.post(
    '/sessions',
    {
      schema: {
        operationId: 'createSession',
        tags,
        summary: 'Create a session',
        params: AccountPath,
        body: optionalBody(NewSessionSchema),
        response: { 200: ref(SessionSchema, 'The session.'), ...writeErrors() },
      },
    },
    async ({ params, body }) => {
      const session = core.createSession(params.accountId, body ?? {});
      await core.flush();
      return sessionView(session);
    },
  );

  api.get(
    '/sessions',
    {
      schema: {
        operationId: 'listSessions',
        tags,
        summary: 'List sessions',
        params: AccountPath,
        querystring: ListQuerySchema,
        response: { 200: ref(SessionPageSchema, 'A page of them, oldest first.'), ...readErrors() },
      },
    },
    ({ params, query }) => {
      const { items, next } = core.sessions(params.accountId, query);
      return { items: items.map(sessionView), next };
    },
  );

  api.get(
    '/sessions/:sessionId',
    {
      schema: {
        operationId: 'getSession',
        tags,
        summary: 'A session and everyone in it',
        params: SessionPath,
        response: { 200: ref(SessionDetailSchema, 'The session.'), ...readErrors(404) },
      },
    },
    ({ params: { accountId, sessionId } }) => ({
      ...sessionView(core.session(accountId, sessionId)),
      participants: core
        .members(accountId, sessionId)
        .map((member) => participantDetailView(member, core.device(accountId, member.id))),
    }),
  );

  api.delete(
    '/sessions/:sessionId',
    {
      schema: {
        operationId: 'deleteSession',
        tags,
        summary: 'Delete a session and disconnect the devices in it',
        params: SessionPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      core.deleteSession(params.accountId, params.sessionId);
      await core.flush();
      done(reply);
    },
  );
}
