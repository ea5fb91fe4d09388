import { Type } from '@sinclair/typebox';
import { absentable, component, listOf, moment, word } from './shapes.js';

/** As `soundSource` reads it; URLs are looked at more closely there. */
export const mediaUrl = Type.String({
  minLength: 1,
  maxLength: 2048,
  pattern: '^(?:https?://[^\\s]+|media:[A-Za-z0-9][A-Za-z0-9._-]{0,63}|tone:(?:join|leave|ringback|music))$',
  description:
    'What is played: an http or https URL of a WAV (PCM, float, A-law, mu-law), Ogg Opus or MP3 file; `media:` with the ' +
    "name of an uploaded file; or one of the gateway's tones, `tone:join`, `tone:leave`, `tone:ringback`, `tone:music`.",
  examples: ['https://app.example/welcome.mp3', 'media:welcome.wav'],
});

/** The name of an uploaded file in a path. */
export const mediaName = Type.String({
  minLength: 1,
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
  examples: ['welcome.wav'],
});

const mediaState = ['PLAYING', 'STOPPED'] as const;

export const PlaySchema = component(
  'Play',
  Type.Object({
    mediaState: word(mediaState, '`PLAYING` begins, anew if something plays already; `STOPPED` ends it.'),
    mediaUrl: Type.Optional(mediaUrl),
    loop: Type.Optional(
      Type.Boolean({ description: 'Whether it is repeated until it is stopped. Default `false`.' }),
    ),
    volume: Type.Optional(
      Type.Number({ minimum: 0, maximum: 2, description: 'Factor of its loudness. Default 1.' }),
    ),
  }),
);

export const AnnouncementSchema = component(
  'Announcement',
  Type.Object(
    {
      mediaState: Type.Unsafe<'PLAYING' | 'STOPPED'>({ type: 'string', enum: [...mediaState] }),
      announcementId: absentable(Type.String({ description: 'Also in `onAnnouncement`.' })),
      state: absentable(
        Type.Unsafe<'LOADING' | 'PLAYING' | 'ENDED' | 'STOPPED' | 'FAILED'>({
          type: 'string',
          enum: ['LOADING', 'PLAYING', 'ENDED', 'STOPPED', 'FAILED'],
          description: '`LOADING` until the file is fetched and decoded. Absent when nothing was played yet.',
        }),
      ),
      cause: absentable(Type.String({ description: 'With `FAILED`: why, for people.' })),
      mediaUrl: absentable(Type.String()),
      loop: absentable(Type.Boolean()),
      volume: absentable(Type.Number()),
      participantIds: absentable(
        listOf(Type.String(), { description: 'Of a session: the participants that hear it now.' }),
      ),
    },
    { description: 'What plays, or played last.' },
  ),
);

export const UploadSchema = component(
  'Upload',
  Type.Object({
    name: Type.String({ examples: ['welcome.wav'] }),
    bytes: Type.Integer(),
    uploadedAt: moment('When it was uploaded.'),
  }),
);

export const UploadsSchema = component(
  'Uploads',
  Type.Object({ items: listOf(Type.Unsafe<typeof UploadSchema.static>({ $ref: 'Upload#' })) }),
);

export const mediaComponents = [PlaySchema, AnnouncementSchema, UploadSchema, UploadsSchema];
