import { PatchbayError, type SessionControl } from '../../core/index.js';
import { type Api, done, DoneSchema, ParticipantPath } from '../instance.js';
import {
  DeviceChangeSchema,
  DeviceSchema,
  optionalBody,
  readErrors,
  ref,
  writeErrors,
} from '../schemas/index.js';
import { deviceView } from '../views.js';

const tags = ['Participants'];
const path = '/participants/:participantId/device';

/** The connected end of a participant. */
export function deviceRoutes(api: Api, core: SessionControl): void {
  api.get(
    path,
    {
      schema: {
        operationId: 'getDevice',
        tags,
        summary: 'The device of a participant, and what it sends and receives',
        params: ParticipantPath,
        response: { 200: ref(DeviceSchema, 'The device.'), ...readErrors(404) },
      },
    },
    ({ params }) => {
      const device = core.device(params.accountId, params.participantId);
      if (!device) throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The participant is not connected.');
      return deviceView(device);
    },
  );

  api.patch(
    path,
    {
      schema: {
        operationId: 'updateDevice',
        tags,
        summary: 'Tell the device of a participant what to say at its end',
        params: ParticipantPath,
        body: optionalBody(DeviceChangeSchema),
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    ({ params, body }, reply) => {
      core.setFarewell(params.accountId, params.participantId, body?.byeHeaders ?? {});
      done(reply);
      return Promise.resolve();
    },
  );

  api.delete(
    path,
    {
      schema: {
        operationId: 'disconnectDevice',
        tags,
        summary: 'Disconnect the device of a participant',
        description:
          'The participant stays, in its session and with its subscriptions; it may connect again.',
        params: ParticipantPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      core.disconnectDevice(params.accountId, params.participantId);
      await core.flush();
      done(reply);
    },
  );
}
