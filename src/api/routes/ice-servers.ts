import type { SessionControl } from '../../core/index.js';
import { type Api, ParticipantPath } from '../instance.js';
import { IceServersSchema, readErrors, ref } from '../schemas/index.js';

/** Makes the `iceServers` of a participant's page. */
export type IceServers = (participantId: string) => readonly {
  readonly urls: readonly string[];
  readonly username: string;
  readonly credential: string;
}[];

/** Time-limited credentials of the operator's TURN server. */
export function iceServerRoutes(api: Api, core: SessionControl, iceServers: IceServers): void {
  api.get(
    '/participants/:participantId/iceServers',
    {
      schema: {
        operationId: 'getIceServers',
        tags: ['Participants'],
        summary: 'TURN servers for the page of a participant',
        description:
          "To be given to the page's client as its option `iceServers`. The credentials last as long as tokens do.",
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
