import { PatchbayError } from '../../core/index.js';
import { type Api, done, DoneSchema, ParticipantPath } from '../instance.js';
import {
  type NewProgramBody,
  NewProgramSchema,
  optionalBody,
  ProgramSchema,
  type ProgramView,
  readErrors,
  ref,
  writeErrors,
} from '../schemas/index.js';

/** The programs to which the gateway connects. Methods throw `PatchbayError`. */
export interface ProgramControl {
  /** Begins to connect, and resolves when that survives a restart. */
  connect(accountId: string, participantId: string, target: NewProgramBody): Promise<ProgramView>;
  program(accountId: string, participantId: string): ProgramView;
  /** Ends the connection, and tries no more. */
  disconnect(accountId: string, participantId: string): Promise<void>;
}

const tags = ['Participants'];
const path = '/participants/:participantId/program';

/** Routes for the program to which the gateway connects a participant. */
export function programRoutes(api: Api, programs: ProgramControl): void {
  api.put(
    path,
    {
      schema: {
        operationId: 'connectProgram',
        tags,
        summary: 'Connect a participant to a program: the gateway opens a WebSocket to it',
        description:
          'The program is the device of the participant while it is connected. When the connection is lost, the gateway ' +
          'connects again, over restarts too, until the program says goodbye (a close with 1000 or without a code), the ' +
          'participant is gone, or by `DELETE`. 409: the participant has a device. 429: the account, or the gateway, ' +
          'has as many as it may. The rules for callback URLs (`PATCHBAY_WEBHOOK_ALLOW`, `PATCHBAY_WEBHOOK_DENY`) hold ' +
          'for the URL.',
        params: ParticipantPath,
        body: optionalBody(NewProgramSchema),
        response: { 200: ref(ProgramSchema, 'It is being connected.'), ...writeErrors(404, 409) },
      },
    },
    ({ params, body }) => {
      // The schema does not check whether there is a body.
      if (!body) throw new PatchbayError('PATCHBAY_BAD_REQUEST', "body must have required property 'url'");
      return programs.connect(params.accountId, params.participantId, body);
    },
  );

  api.get(
    path,
    {
      schema: {
        operationId: 'getProgram',
        tags,
        summary: 'The program to which the gateway connects a participant',
        params: ParticipantPath,
        response: { 200: ref(ProgramSchema, 'The program, without its URL.'), ...readErrors(404) },
      },
    },
    ({ params }) => programs.program(params.accountId, params.participantId),
  );

  api.delete(
    path,
    {
      schema: {
        operationId: 'disconnectProgram',
        tags,
        summary: 'End the connection to a program, and try no more',
        params: ParticipantPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      await programs.disconnect(params.accountId, params.participantId);
      done(reply);
    },
  );
}
