import type { SessionControl } from '../../core/index.js';
import { AccountPath, type Api, done, DoneSchema, SessionPath } from '../instance.js';
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
import { listingJson, type Slices } from '../slices.js';
import { sessionView } from '../views.js';
import { membersJson } from './members.js';

const tags = ['Sessions'];

/**
 * Routes to create, list, get and delete sessions.
 * @param checkMedia throws when a sound cannot be played, as far as can be told at once
 */
export function sessionRoutes(
  api: Api,
  core: SessionControl,
  slices: Slices,
  checkMedia: (accountId: string, mediaUrl: string) => void,
): void {
  api.post(
    '/sessions',
    {
      schema: {
        operationId: 'createSession',
        tags,
        summary: 'Create a session',
        params: AccountPath,
        body: optionalBody(NewSessionSchema),
        response: { 200: ref(SessionSchema, 'The session.'), ...writeErrors(404) },
      },
    },
    async ({ params, body }) => {
      const mediaUrl = body?.waitingMusic?.mediaUrl;
      if (mediaUrl !== undefined) checkMedia(params.accountId, mediaUrl);
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
    ({ params: { accountId }, query }, reply) =>
      listingJson(
        slices,
        reply,
        accountId,
        query,
        (options) => core.sessions(accountId, options),
        sessionView,
      ),
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
    async ({ params: { accountId, sessionId } }, reply) => {
      const session = JSON.stringify(sessionView(core.session(accountId, sessionId)));
      const members = await membersJson(slices, core, accountId, sessionId);
      return slices.send(reply, accountId, `${session.slice(0, -1)},"participants":${members}}`);
    },
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
