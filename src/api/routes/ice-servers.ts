import type { SessionControl } from '../../core/index.js';
import { type Api, ParticipantPath } from '../instance.js';
import { IceServersSchema, readErrors, ref } from '../schemas/index.js';

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
