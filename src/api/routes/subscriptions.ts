import type { SessionControl } from '../../core/index.js';
import { type Api, done, DoneSchema, MemberPath } from '../instance.js';
import {
  NewSubscriptionsSchema,
  optionalBody,
  readErrors,
  ref,
  SubscriptionsSchema,
  writeErrors,
} from '../schemas/index.js';

const tags = ['Subscriptions'];
const path = '/sessions/:sessionId/participants/:participantId/subscriptions';

/** Routes for the subscriptions of participants. */
export function subscriptionRoutes(api: Api, core: SessionControl): void {
  api.get(
    path,
    {
      schema: {
        operationId: 'getParticipantSubscriptions',
        tags,
        summary: 'What a participant asked to receive',
        params: MemberPath,
        response: { 200: ref(SubscriptionsSchema, 'Empty when it receives nothing.'), ...readErrors(404) },
      },
    },
    ({ params }) => core.subscriptions(params.accountId, params.sessionId, params.participantId),
  );

  api.put(
    path,
    {
      schema: {
        operationId: 'updateParticipantSubscriptions',
        tags,
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
