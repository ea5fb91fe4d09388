import { Readable } from 'node:stream';
import { Type } from '@sinclair/typebox';
import { PatchbayError, type SessionControl } from '../../core/index.js';
import {
  AccountPath,
  type Api,
  done,
  DoneSchema,
  MemberPath,
  ParticipantPath,
  SessionPath,
} from '../instance.js';
import {
  AnnouncementSchema,
  type AnnouncementView,
  mediaName,
  optionalBody,
  PlaySchema,
  type PlayBody,
  readErrors,
  ref,
  UploadSchema,
  UploadsSchema,
  writeErrors,
} from '../schemas/index.js';

type Audience = { readonly participantId: string } | { readonly sessionId: string };

interface Upload {
  readonly name: string;
  readonly bytes: number;
  readonly uploadedAt: number;
}

/** What plays sounds, and keeps the files for it. Methods throw `PatchbayError`. */
export interface MediaControl {
  /** @throws PatchbayError when a `mediaUrl` cannot be played, as far as can be told at once */
  check(accountId: string, mediaUrl: string): void;
  play(
    accountId: string,
    audience: Audience,
    request: { readonly mediaUrl: string; readonly loop?: boolean; readonly volume?: number },
  ): AnnouncementView;
  stop(accountId: string, audience: Audience): AnnouncementView;
  state(accountId: string, audience: Audience): AnnouncementView;
  uploads(accountId: string): readonly Upload[];
  upload(accountId: string, name: string, body: Readable): Promise<Upload>;
  readUpload(accountId: string, name: string): { readonly upload: Upload; readonly body: Readable };
  deleteUpload(accountId: string, name: string): Promise<void>;
}

const tags = ['Media'];

const PLAY = {
  tags,
  body: optionalBody(PlaySchema),
  response: { 200: ref(AnnouncementSchema, 'What plays now.'), ...writeErrors(404) },
};
const SHOW = {
  tags,
  response: { 200: ref(AnnouncementSchema, 'What plays, or played last.'), ...readErrors(404) },
};

const HEARS =
  'Phones hear it in their mix, with all else lowered; a browser receives a stream with the alias `announcement` and its ' +
  'own participant id, from the beginning once it has answered the offer. The response comes at once, and ' +
  '`onAnnouncement` tells the rest.';

/** Routes that play sounds to participants and sessions. */
export function announcementRoutes(api: Api, core: SessionControl, media: MediaControl): void {
  api.put(
    '/sessions/:sessionId/media',
    {
      schema: {
        ...PLAY,
        operationId: 'playToSession',
        summary: 'Play a sound to everybody in a session, or stop it',
        description: `Those who enter while it plays hear it from the beginning. ${HEARS}`,
        params: SessionPath,
      },
    },
    ({ params: { accountId, sessionId }, body }) => {
      core.session(accountId, sessionId);
      return played(media, accountId, { sessionId }, body);
    },
  );
  api.get(
    '/sessions/:sessionId/media',
    {
      schema: {
        ...SHOW,
        operationId: 'getSessionMedia',
        summary: 'What plays to a session',
        params: SessionPath,
      },
    },
    ({ params: { accountId, sessionId } }) => {
      core.session(accountId, sessionId);
      return media.state(accountId, { sessionId });
    },
  );
  for (const path of [
    '/sessions/:sessionId/participants/:participantId/media',
    '/participants/:participantId/media',
  ]) {
    const isMember = path.startsWith('/sessions');
    const params = isMember ? MemberPath : ParticipantPath;
    const check = (of: { accountId: string; participantId: string; sessionId?: string }): void => {
      if (of.sessionId === undefined) core.participant(of.accountId, of.participantId);
      else core.subscriptions(of.accountId, of.sessionId, of.participantId);
    };
    api.put(
      path,
      {
        schema: {
          ...PLAY,
          operationId: isMember ? 'playToMember' : 'playToParticipant',
          summary: `Play a sound to a participant${isMember ? ' of a session' : ', in a session or not'}, or stop it`,
          description: `Nobody else hears it, and it goes on when the participant is moved. ${HEARS} 404: no device is connected.`,
          params,
        },
      },
      ({ params: of, body }) => {
        check(of);
        return played(media, of.accountId, { participantId: of.participantId }, body);
      },
    );
    api.get(
      path,
      {
        schema: {
          ...SHOW,
          operationId: isMember ? 'getMemberMedia' : 'getParticipantMedia',
          summary: `What plays to a participant${isMember ? ' of a session' : ''}`,
          params,
        },
      },
      ({ params: of }) => {
        check(of);
        return media.state(of.accountId, { participantId: of.participantId });
      },
    );
  }
}

function played(
  media: MediaControl,
  accountId: string,
  audience: Audience,
  body: PlayBody | undefined,
): AnnouncementView {
  if (!body) throw new PatchbayError('PATCHBAY_BAD_REQUEST', "body must have required property 'mediaState'");
  const { mediaState, mediaUrl, ...how } = body;
  if (mediaState === 'STOPPED') return media.stop(accountId, audience);
  if (mediaUrl === undefined) {
    throw new PatchbayError('PATCHBAY_BAD_REQUEST', "body must have required property 'mediaUrl' to play");
  }
  return media.play(accountId, audience, { mediaUrl, ...how });
}

const MediaPath = Type.Object({ ...AccountPath.properties, name: mediaName });
/** The content of a file; its type is not looked at. */
const FileSchema = Type.Unsafe<Readable | undefined>({ type: 'string', format: 'binary' });

/** Routes for the files of an account that can be played. */
export function uploadRoutes(api: Api, media: MediaControl): void {
  api.get(
    '/media',
    {
      schema: {
        operationId: 'listMedia',
        tags,
        summary: 'The uploaded files',
        params: AccountPath,
        response: { 200: ref(UploadsSchema, 'All of them, by name.'), ...readErrors() },
      },
    },
    ({ params }) => ({ items: media.uploads(params.accountId).map(uploadView) }),
  );
  api.get(
    '/media/:name',
    {
      schema: {
        operationId: 'downloadMedia',
        tags,
        summary: 'An uploaded file',
        params: MediaPath,
        response: {
          200: {
            description: 'As it was uploaded.',
            content: { 'application/octet-stream': { schema: FileSchema } },
          },
          ...readErrors(404),
        },
      },
    },
    ({ params }, reply) => {
      const { upload, body } = media.readUpload(params.accountId, params.name);
      reply.headers({ 'content-type': 'application/octet-stream', 'content-length': upload.bytes });
      return body;
    },
  );
  api.delete(
    '/media/:name',
    {
      schema: {
        operationId: 'deleteMedia',
        tags,
        summary: 'Delete an uploaded file',
        description: 'Those who hear it now hear it to its end.',
        params: MediaPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      await media.deleteUpload(params.accountId, params.name);
      done(reply);
    },
  );
  api.register((scope: Api, _options, registered) => {
    takeFiles(scope);
    // The body is a stream, of which no schema says anything; the name is checked with those of other uploads.
    scope.setValidatorCompiler(() => (value: unknown) => ({ value }));
    scope.put(
      '/media/:name',
      {
        schema: {
          operationId: 'uploadMedia',
          tags,
          summary: 'Upload a file that can be played as `media:` with its name',
          description:
            'It replaces the one with this name. The body is the file itself: WAV (PCM, float, A-law, mu-law), Ogg Opus or ' +
            'MP3; it is recognised by its content, and refused with 400 `PATCHBAY_BAD_MEDIA` when it cannot be played.',
          params: MediaPath,
          consumes: ['application/octet-stream'],
          body: FileSchema,
          response: { 200: ref(UploadSchema, 'The file.'), ...writeErrors() },
        },
      },
      async ({ params, body, raw }, reply) => {
        if (!(body instanceof Readable)) throw new PatchbayError('PATCHBAY_BAD_MEDIA', 'The body is empty.');
        try {
          return uploadView(await media.upload(params.accountId, params.name, body));
        } catch (error) {
          // The rest of the body would be taken for the next request.
          if (!raw.complete) reply.header('connection', 'close');
          throw error;
        }
      },
    );
    registered();
  });
}

/** Passes bodies on as they come, whatever type they say that they have. */
function takeFiles(scope: Api): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request, body, parsed) => {
    parsed(null, body);
  });
}

function uploadView({ uploadedAt, ...upload }: Upload) {
  return { ...upload, uploadedAt: new Date(uploadedAt).toISOString() };
}
