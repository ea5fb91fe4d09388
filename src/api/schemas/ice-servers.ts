import { Type } from '@sinclair/typebox';
import { component, listOf } from './shapes.js';

const IceServerSchema = Type.Object({
  urls: listOf(Type.String()),
  username: Type.String({
    description: 'Says when the credentials end, in epoch seconds, and whose they are.',
  }),
  credential: Type.String(),
});

/** What a page gives to its client as `iceServers`. */
export const IceServersSchema = component(
  'IceServers',
  Type.Object({
    iceServers: listOf(IceServerSchema, { description: 'Empty when no TURN server is configured.' }),
  }),
);
