import { PatchbayError, type SessionControl } from '../../core/index.js';
import { type Api, done, DoneSchema, ParticipantPath } from '../instance.js';
import {
  DeviceChangeSchema,
  DeviceSchema,
  DtmfSchema,
  optionalBody,
  readErrors,
  ref,
  writeErrors,
} from '../schemas/index.js';
import { deviceView } from '../views.js';

const tags = ['Participants'];
const path = '/participants/:participantId/device';

/** Routes for the device of a participant. */
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
        summary: 'Change the connected device of a participant',
        description: '409: this kind of device cannot send such headers.',
        params: ParticipantPath,
        body: optionalBody(DeviceChangeSchema),
        response: { 204: DoneSchema, ...writeErrors(404, 409) },
      },
    },
    ({ params, body }, reply) => {
      core.setByeHeaders(params.accountId, params.participantId, body?.byeHeaders ?? {});
      done(reply);
      return Promise.resolve();
    },
  );

  api.post(
    `${path}/dtmf`,
    {
      schema: {
        operationId: 'sendDtmf',
        tags,
        summary: 'Send DTMF digits to the device of a participant',
        description:
          'The digits are queued, and sent one after the other; the device does not hear its session meanwhile. ' +
          '409: this kind of device (a browser) cannot receive digits. A program gets each as a message. 429: too many digits wait; none of these ' +
          'were queued.',
        params: ParticipantPath,
        body: optionalBody(DtmfSchema),
        response: { 204: DoneSchema, ...writeErrors(404, 409) },
      },
    },
    async ({ params, body }, reply) => {
      // The schema does not check whether there is a body.
      if (!body) {
        throw new PatchbayError('PATCHBAY_BAD_REQUEST', "body must have required property 'digits'");
      }
      await core.sendDtmf(params.accountId, params.participantId, body);
      done(reply);
    },
  );

  api.delete(
    path,
    {
      schema: {
        operationId: 'disconnectDevice',
        tags,
        summary: 'Disconnect the device of a participant',
        description: 'The participant stays in its session with its subscriptions, and may connect again.',
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
