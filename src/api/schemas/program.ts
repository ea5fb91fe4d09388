import { type Static, Type } from '@sinclair/typebox';
import { absentable, component, text } from './shapes.js';

const dialect = Type.Unsafe<'patchbay' | 'twilio' | 'vonage' | 'jambonz'>({
  type: 'string',
  enum: ['patchbay', 'twilio', 'vonage', 'jambonz'],
  description:
    "The protocol that the program speaks: the gateway's own, Twilio Media Streams, Vonage's audio WebSockets, or " +
    "jambonz' `listen`. See docs/programs.md.",
});

const channels = Type.Unsafe<'mix' | 'streams'>({
  type: 'string',
  enum: ['mix', 'streams'],
  description: 'Whether it receives one mix, or each stream by itself (`patchbay` alone).',
});

const rate = Type.Unsafe<8000 | 16000 | 24000 | 48000>({
  type: 'integer',
  enum: [8000, 16000, 24000, 48000],
  description: 'Samples a second, both ways.',
});

/** A program that the gateway is to connect to. */
export const NewProgramSchema = component(
  'NewProgram',
  Type.Object(
    {
      url: text(2048, 'Its WebSocket, `wss://` or `ws://`. It is never shown again.'),
      dialect,
      rate: Type.Optional({
        ...rate,
        description: `${rate.description} Default: 16000; for \`twilio\` (which has no other) and \`jambonz\` 8000.`,
      }),
      channels: Type.Optional({ ...channels, default: 'mix' }),
      headers: Type.Optional(
        Type.Unsafe<Readonly<Record<string, string>>>({
          type: 'object',
          maxProperties: 8,
          propertyNames: { type: 'string', pattern: "^[\\w!#$%&'*+.^`|~-]{1,64}$" },
          additionalProperties: { type: 'string', maxLength: 2048, pattern: '^[\\x20-\\x7e]*$' },
          description: 'HTTP headers of the request for the WebSocket. They are never shown again.',
          examples: [{ Authorization: 'Bearer s3cret' }],
        }),
      ),
    },
    { additionalProperties: false },
  ),
);

/** A program that the gateway connects to, without its secrets. */
export const ProgramSchema = component(
  'Program',
  Type.Object({
    dialect,
    rate,
    channels,
    host: Type.String({
      description: 'Name or address of its server, and the port if it is not the usual one.',
    }),
    state: Type.Unsafe<'connecting' | 'connected' | 'waiting'>({
      type: 'string',
      enum: ['connecting', 'connected', 'waiting'],
      description: '`waiting`: for the next attempt, after half a second at first and a minute at most.',
    }),
    failure: absentable(
      Type.String({ description: 'Why the last attempt failed, or the connection was lost.' }),
    ),
  }),
);

export type NewProgramBody = Static<typeof NewProgramSchema>;
export type ProgramView = Static<typeof ProgramSchema>;

export const programComponents = [NewProgramSchema, ProgramSchema];
