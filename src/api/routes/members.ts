import type { SessionControl } from '../../core/index.js';
import { type Api, done, DoneSchema, MemberPath, SessionPath } from '../instance.js';
import {
  listOf,
  NewSubscriptionsSchema,
  optionalBody,
  ParticipantDetailSchema,
  readErrors,
  ref,
  SubscriptionsSchema,
  writeErrors,
} from '../schemas/index.js';
import type { Slices } from '../slices.js';
import { participantDetailView } from '../views.js';

const tags = ['Sessions'];
const SUBSCRIPTIONS = '/sessions/:sessionId/participants/:participantId/subscriptions';

/** Routes for the members of a session. */
export function memberRoutes(api: Api, core: SessionControl, slices: Slices): void {
  api.get(
    '/sessions/:sessionId/participants',
    {
      schema: {
        operationId: 'listSessionParticipants',
        tags,
        summary: 'Everyone in a session',
        params: SessionPath,
        response: {
          200: listOf(ref(ParticipantDetailSchema), { description: 'At most 20 participants.' }),
          ...readErrors(404),
        },
      },
    },
    async ({ params: { accountId, sessionId } }, reply) =>
      slices.send(reply, accountId, await membersJson(slices, core, accountId, sessionId)),
  );

  api.put(
    '/sessions/:sessionId/participants/:participantId',
    {
      schema: {
        operationId: 'addParticipantToSession',
        tags,
        summary: 'Add a participant to a session',
        description:
          'The body sets its subscriptions, and replaces them if it is in the session already. ' +
          '409: it is in another session (remove it there first), or the session is full.',
        params: MemberPath,
        body: optionalBody(NewSubscriptionsSchema),
        response: { 204: DoneSchema, ...writeErrors(404, 409) },
      },
    },
    async ({ params: { accountId, sessionId, participantId }, body }, reply) => {
      core.addToSession(accountId, sessionId, participantId, body);
      await core.flush();
      done(reply);
    },
  );

  api.delete(
    '/sessions/:sessionId/participants/:participantId',
    {
      schema: {
        operationId: 'removeParticipantFromSession',
        tags,
        summary: 'Take a participant out of a session',
        description: 'Its subscriptions are deleted. Its device stays connected, without a session.',
        params: MemberPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      core.removeFromSession(params.accountId, params.sessionId, params.participantId);
      await core.flush();
      done(reply);
    },
  );
}

/** The members of a session as JSON, made in slices: their subscriptions and deliveries can be megabytes. */
export async function membersJson(
  slices: Slices,
  core: SessionControl,
  accountId: string,
  sessionId: string,
): Promise<string> {
  const members = await slices.json(accountId, core.members(accountId, sessionId), (member) =>
    participantDetailView(member, core.device(accountId, member.id)),
  );
  return `[${members.join(',')}]`;
}

/** Routes for the subscriptions of participants. */
export function subscriptionRoutes(api: Api, core: SessionControl): void {
  api.get(
    SUBSCRIPTIONS,
    {
      schema: {
        operationId: 'getParticipantSubscriptions',
        tags: ['Subscriptions'],
        summary: 'What a participant asked to receive',
        params: MemberPath,
        response: { 200: ref(SubscriptionsSchema, 'Empty when it receives nothing.'), ...readErrors(404) },
      },
    },
    ({ params }) => core.subscriptions(params.accountId, params.sessionId, params.participantId),
  );

  api.put(
    SUBSCRIPTIONS,
    {
      schema: {
        operationId: 'updateParticipantSubscriptions',
        tags: ['Subscriptions'],
        summary: 'Replace the subscriptions of a participant',
        description:
          'Takes effect at once. Without a body, or with an empty one, the participant receives nothing.',
        params: MemberPath,
        body: optionalBody(NewSubscriptionsSchema),
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params: { accountId, sessionId, participantId }, body }, reply) => {
      core.setSubscriptions(accountId, sessionId, participantId, body ?? {});
      await core.flush();
      done(reply);
    },
  );
}
