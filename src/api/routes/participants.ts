import { PatchbayError, type SessionControl } from '../../core/index.js';
import { AccountPath, type Api, done, DoneSchema, ParticipantPath } from '../instance.js';
import {
  CreatedParticipantSchema,
  IceServersSchema,
  ListQuerySchema,
  NewParticipantSchema,
  optionalBody,
  ParticipantChangeSchema,
  ParticipantDetailSchema,
  ParticipantPageSchema,
  readErrors,
  ref,
  writeErrors,
} from '../schemas/index.js';
import { mediaTypes, participantDetailView, participantView } from '../views.js';
import { listingJson, type Slices } from '../slices.js';

const tags = ['Participants'];

/** Why the operator's rules refuse a callback URL, in words; undefined when they do not. */
type CallbackRefusal = (url: string) => Promise<string | undefined>;

const MAY_PUBLISH_NOTHING =
  'The participant may publish nothing, so nobody will hear or see it: publishPermissions is empty or missing.';

/** Routes to create, list, get and delete participants. */
export function participantRoutes(
  api: Api,
  core: SessionControl,
  slices: Slices,
  callbackRefusal: CallbackRefusal,
): void {
  api.post(
    '/participants',
    {
      schema: {
        operationId: 'createParticipant',
        tags,
        summary: 'Create a participant and the token of its device',
        params: AccountPath,
        description: '409: it asks for noise suppression, and all places for that are taken.',
        body: optionalBody(NewParticipantSchema),
        response: {
          200: ref(CreatedParticipantSchema, 'The participant and its token.'),
          ...writeErrors(409),
        },
      },
    },
    async ({ params, body }) => {
      const refusal = body?.callbackUrl === undefined ? undefined : await callbackRefusal(body.callbackUrl);
      if (refusal !== undefined)
        throw new PatchbayError('PATCHBAY_BAD_REQUEST', `body/callbackUrl: ${refusal}`);
      const { publishPermissions, ...properties } = body ?? {};
      const { participant, token } = core.createParticipant(params.accountId, {
        ...properties,
        ...(publishPermissions && { publishPermissions: mediaTypes(publishPermissions) }),
      });
      await core.flush();
      const warnings = participant.publishPermissions.length === 0 ? [MAY_PUBLISH_NOTHING] : undefined;
      return { participant: participantView(participant), token, warnings };
    },
  );

  api.get(
    '/participants',
    {
      schema: {
        operationId: 'listParticipants',
        tags,
        summary: 'List participants',
        params: AccountPath,
        querystring: ListQuerySchema,
        response: { 200: ref(ParticipantPageSchema, 'A page of them, oldest first.'), ...readErrors() },
      },
    },
    ({ params: { accountId }, query }, reply) =>
      listingJson(
        slices,
        reply,
        accountId,
        query,
        (options) => core.participants(accountId, options),
        (item) => participantView(item, core.device(accountId, item.id)),
      ),
  );

  api.get(
    '/participants/:participantId',
    {
      schema: {
        operationId: 'getParticipant',
        tags,
        summary: 'A participant, its device, and the streams of that',
        params: ParticipantPath,
        response: { 200: ref(ParticipantDetailSchema, 'The participant.'), ...readErrors(404) },
      },
    },
    ({ params: { accountId, participantId } }) =>
      participantDetailView(
        core.participant(accountId, participantId),
        core.device(accountId, participantId),
      ),
  );

  api.patch(
    '/participants/:participantId',
    {
      schema: {
        operationId: 'updateParticipant',
        tags,
        summary: 'Change a participant',
        description:
          'It takes effect at once. 409: all places for noise suppression are taken; nothing is changed.',
        params: ParticipantPath,
        body: optionalBody(ParticipantChangeSchema),
        response: { 204: DoneSchema, ...writeErrors(404, 409) },
      },
    },
    async ({ params, body }, reply) => {
      core.updateParticipant(params.accountId, params.participantId, body ?? {});
      await core.flush();
      done(reply);
    },
  );

  api.delete(
    '/participants/:participantId',
    {
      schema: {
        operationId: 'deleteParticipant',
        tags,
        summary: 'Delete a participant and disconnect its device',
        params: ParticipantPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      core.deleteParticipant(params.accountId, params.participantId);
      await core.flush();
      done(reply);
    },
  );
}

/** Makes the `iceServers` for a participant's page. */
export type IceServers = (participantId: string) => readonly {
  readonly urls: readonly string[];
  readonly username: string;
  readonly credential: string;
}[];

/** Route for time-limited credentials of the operator's TURN server. */
export function iceServerRoutes(api: Api, core: SessionControl, iceServers: IceServers): void {
  api.get(
    '/participants/:participantId/iceServers',
    {
      schema: {
        operationId: 'getIceServers',
        tags: ['Participants'],
        summary: 'TURN servers for the page of a participant',
        description:
          'Pass them to the browser client as its option `iceServers`. The credentials are valid as long as tokens are.',
        params: ParticipantPath,
        response: { 200: ref(IceServersSchema, 'The servers.'), ...readErrors(404) },
      },
    },
    ({ params }) => {
      const { id } = core.participant(params.accountId, params.participantId);
      return { iceServers: iceServers(id) };
    },
  );
}
