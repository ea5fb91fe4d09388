import { type Static, Type } from '@sinclair/typebox';
import {
  absentable,
  component,
  listOf,
  MediaFormatSchema,
  moment,
  qualityComponents,
  QualitySchema,
  ref,
} from './shapes.js';

const mediaTypes = listOf(Type.Unsafe<'AUDIO' | 'VIDEO'>({ type: 'string', enum: ['AUDIO', 'VIDEO'] }));

const facts = {
  id: Type.String(),
  kind: Type.String({ description: 'More kinds may be added.', examples: ['browser', 'phone', 'program'] }),
  externalId: Type.String({
    description: "The device's own id: a browser's or program's `uniqueId`, a phone's Call-ID.",
  }),
  direction: Type.Unsafe<'inbound' | 'outbound'>({ type: 'string', enum: ['inbound', 'outbound'] }),
  caller: absentable(Type.String({ description: 'Phones: number or user part of the caller.' })),
  callerName: absentable(Type.String({ description: 'Phones: display name of the caller.' })),
  called: absentable(Type.String({ description: 'Phones: number or user part that was called.' })),
  headers: absentable(
    Type.Unsafe<Readonly<Record<string, string>>>({
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Phones: the headers of the INVITE that the gateway is configured to show.',
    }),
  ),
  connectedAt: moment('When it connected.'),
};

/** A connected device without its streams. */
export const DeviceSummarySchema = component('DeviceSummary', Type.Object(facts));

const PublishedStreamSchema = component(
  'PublishedStream',
  Type.Object({
    streamId: Type.String(),
    alias: absentable(Type.String()),
    mediaTypes,
    speaking: absentable(
      Type.Boolean({
        description:
          'Whether somebody speaks in it now; absent before the first time. G722 and opus that no phone hears are measured ' +
          'only if the participant was created with `"events": ["speaking"]` or the browser sends levels (RFC 6464).',
      }),
    ),
    levelDb: absentable(
      Type.Number({
        description: 'Level of the speech so far, in dB relative to full scale; absent before the first.',
      }),
    ),
  }),
);

const DeliveredStreamSchema = component(
  'DeliveredStream',
  Type.Object({
    streamId: Type.String(),
    participantId: Type.String({ description: 'Who publishes it.' }),
    alias: absentable(Type.String()),
    mediaTypes,
  }),
);

const OmittedTrackSchema = component(
  'OmittedTrack',
  Type.Object({
    streamId: Type.String(),
    mediaType: Type.Unsafe<'AUDIO' | 'VIDEO'>({ type: 'string', enum: ['AUDIO', 'VIDEO'] }),
    reason: Type.String({
      description: 'Why, for people.',
      examples: ['the browser does not take codec AV1'],
    }),
  }),
);

/** A connected device with the streams that it sends and receives. */
export const DeviceSchema = component(
  'Device',
  Type.Object({
    ...facts,
    held: absentable(
      Type.Boolean({
        description:
          'Phones: whether the phone has put the session on hold; it does not hear the session then.',
      }),
    ),
    received: absentable(
      ref(MediaFormatSchema, 'How its media come to the gateway; absent while it sends none.'),
    ),
    sent: absentable(ref(MediaFormatSchema, 'How media are sent to it; absent while it is sent none.')),
    quality: absentable(
      ref(QualitySchema, 'How its audio fares, measured every five seconds; absent before the first time.'),
    ),
    streams: listOf(ref(PublishedStreamSchema), { description: 'What it publishes now.' }),
    delivery: listOf(ref(DeliveredStreamSchema), { description: 'What it receives now.' }),
    omitted: listOf(ref(OmittedTrackSchema), {
      description:
        'Tracks of the delivery that it is not sent, for example because it cannot play the codec, and tracks that it ' +
        'tried to publish without permission.',
    }),
  }),
);

/** A change of a connected device. */
export const DeviceChangeSchema = component(
  'DeviceChange',
  Type.Object(
    {
      byeHeaders: Type.Optional(
        Type.Unsafe<Readonly<Record<string, string>>>({
          type: 'object',
          maxProperties: 16,
          propertyNames: { type: 'string', pattern: '^[Xx]-[A-Za-z0-9-]{1,60}$' },
          additionalProperties: { type: 'string', maxLength: 512, pattern: '^[^\\x00-\\x1f\\x7f]*$' },
          description:
            'Phones: headers for the BYE with which the gateway will end the call, whatever the reason. ' +
            'They replace those set before.',
          examples: [{ 'X-Result': 'sold' }],
        }),
      ),
    },
    { additionalProperties: false },
  ),
);

/** DTMF digits for a connected device. */
export const DtmfSchema = component(
  'Dtmf',
  Type.Object(
    {
      digits: Type.String({
        minLength: 1,
        maxLength: 32,
        pattern: '^[0-9*#A-D]{1,32}$',
        description: 'The digits, in the order in which they are sent.',
        examples: ['123#'],
      }),
      durationMs: Type.Optional(
        Type.Integer({ minimum: 40, maximum: 2000, default: 100, description: 'Length of each digit.' }),
      ),
      gapMs: Type.Optional(
        Type.Integer({ minimum: 60, maximum: 2000, default: 100, description: 'Pause after each digit.' }),
      ),
    },
    { additionalProperties: false },
  ),
);

export type DeviceSummaryView = Static<typeof DeviceSummarySchema>;
export type DeviceView = Static<typeof DeviceSchema>;

export const deviceComponents = [
  MediaFormatSchema,
  ...qualityComponents,
  DeviceSummarySchema,
  DeviceChangeSchema,
  DtmfSchema,
  PublishedStreamSchema,
  DeliveredStreamSchema,
  OmittedTrackSchema,
  DeviceSchema,
];
