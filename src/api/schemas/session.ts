import { type Static, Type } from '@sinclair/typebox';
import { ParticipantDetailSchema } from './participant.js';
import { absentable, component, listOf, moment, ref, text } from './shapes.js';

/** What an application may say of a session that it creates. */
export const NewSessionSchema = component(
  'NewSession',
  Type.Object({ tag: Type.Optional(text(50, 'Free text of the application.')) }),
);

const properties = {
  id: Type.String(),
  tag: absentable(Type.String()),
  createdAt: moment('When it was created.'),
  expiresAt: moment('When it is deleted, and the devices in it disconnected.'),
};

export const SessionSchema = component('Session', Type.Object(properties));

/** A session with everyone in it. */
export const SessionDetailSchema = component(
  'SessionDetail',
  Type.Object({ ...properties, participants: listOf(ref(ParticipantDetailSchema)) }),
);

export type SessionView = Static<typeof SessionSchema>;

export const sessionComponents = [NewSessionSchema, SessionSchema, SessionDetailSchema];
