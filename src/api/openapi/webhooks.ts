const properties = {
  timestamp: {
    type: 'string',
    description: 'When it happened: epoch milliseconds, as text.',
    examples: ['1628786234676'],
  },
  participantId: { type: 'string' },
  deviceId: {
    type: 'string',
    description: "The id that the device names itself by: a browser's `uniqueId`, a phone's Call-ID.",
  },
  tag: { type: 'string', description: "The participant's, when it has one." },
};

const digit = {
  digit: { type: 'string', pattern: '^[0-9*#A-D]$' },
  durationMs: { type: 'number', description: 'How long the key was pressed.' },
};

const about =
  'Sent to the `callbackUrl` of the participant. Those of one participant come in order, one at a time; one that ' +
  'is not answered with a 2xx status is sent again, with growing pauses, for an hour.';

function webhook(event: string, summary: string, more: object = {}): object {
  return {
    post: {
      operationId: event,
      tags: ['Webhooks'],
      summary,
      description: about,
      security: [],
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: {
              type: 'object',
              required: ['event', 'timestamp', 'participantId', 'deviceId', ...Object.keys(more)],
              properties: { event: { const: event }, ...properties, ...more },
            },
          },
        },
      },
      responses: {
        '2XX': { description: 'Taken.' },
        410: { description: 'Taken, and given up: it is not sent again.' },
      },
    },
  };
}

const asked = '(an extension of this gateway, for participants created with `events: ["hold"]`)';

/** What the gateway calls applications with. */
export const webhooks = {
  onConnect: webhook('onConnect', 'A device connected'),
  onLeave: webhook('onLeave', 'A device is gone: exactly once for each onConnect'),
  onDisconnect: webhook('onDisconnect', 'The signalling of a device was lost; it may come back'),
  onHold: webhook('onHold', `A phone put the session on hold ${asked}`),
  onResume: webhook('onResume', `A phone that held the session hears it again ${asked}`),
  onDtmf: webhook('onDtmf', 'A device sent a DTMF digit (an extension of this gateway)', digit),
};
