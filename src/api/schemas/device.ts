import { type Static, Type } from '@sinclair/typebox';
import { absentable, component, listOf, moment, ref } from './shapes.js';

const mediaTypes = listOf(Type.Unsafe<'AUDIO' | 'VIDEO'>({ type: 'string', enum: ['AUDIO', 'VIDEO'] }));

const facts = {
  id: Type.String(),
  kind: Type.Unsafe<'browser' | 'phone'>({ type: 'string', enum: ['browser', 'phone'] }),
  externalId: Type.String({
    description: "The id that the device names itself by: a browser's `uniqueId`, a phone's Call-ID.",
  }),
  direction: Type.Unsafe<'inbound' | 'outbound'>({ type: 'string', enum: ['inbound', 'outbound'] }),
  caller: absentable(Type.String({ description: 'Phones: number or user of the caller.' })),
  callerName: absentable(Type.String({ description: 'Phones: display name of the caller.' })),
  called: absentable(Type.String({ description: 'Phones: what was called.' })),
  connectedAt: moment('When it connected.'),
};

/** That a device is connected, and of which kind. */
export const DeviceSummarySchema = component('DeviceSummary', Type.Object(facts));

const PublishedStreamSchema = component(
  'PublishedStream',
  Type.Object({
    streamId: Type.String(),
    alias: absentable(Type.String()),
    mediaTypes,
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

/** A connected device with all that it sends and receives. */
export const DeviceSchema = component(
  'Device',
  Type.Object({
    ...facts,
    streams: listOf(ref(PublishedStreamSchema), { description: 'What it publishes now.' }),
    delivery: listOf(ref(DeliveredStreamSchema), { description: 'What it is being delivered now.' }),
  }),
);

export type DeviceSummaryView = Static<typeof DeviceSummarySchema>;
export type DeviceView = Static<typeof DeviceSchema>;

export const deviceComponents = [
  DeviceSummarySchema,
  PublishedStreamSchema,
  DeliveredStreamSchema,
  DeviceSchema,
];
