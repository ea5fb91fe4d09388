import { Type } from '@sinclair/typebox';
import { createSession } from 'better-sse';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PatchbayError } from '../../core/index.js';
import { AccountPath, type Api } from '../instance.js';
import { readErrors } from '../schemas/index.js';

/** An event as it is sent. */
interface SentEvent {
  readonly id: string;
  readonly type: string;
  /** JSON. */
  readonly text: string;
}

/** What happens in accounts, for whoever reads it. */
export interface AccountEvents {
  /** How many read an account's events now. */
  readersOf(accountId: string): number;
  /**
   * Sends what a reader has missed, and from now on what happens.
   * @returns a function that ends it
   */
  read(
    accountId: string,
    reader: {
      readonly filter: { readonly sessionId?: string | undefined; readonly tag?: string | undefined };
      readonly lastEventId?: string | undefined;
      send(event: SentEvent): void;
      /** @returns false if the reader does not keep up, so that it was not sent */
      offer(event: SentEvent): boolean;
    },
  ): () => void;
}

/** Readers of one account at a time. */
export const MAX_READERS = 32;
/** A reader for whom more than this waits is cut off. It may come back, and gets what it has missed. */
const MAX_WAITING_BYTES = 512 * 1024;
const KEEP_ALIVE_MS = 10_000;
const RETRY_MS = 2_000;

const Query = Type.Object({
  sessionId: Type.Optional(
    Type.String({ description: 'Only events of this session, and `levels`: how loud its streams are.' }),
  ),
  tag: Type.Optional(Type.String({ description: 'Only events of sessions and participants with this tag.' })),
});

/** What happens in an account, as server-sent events. */
export function eventRoutes(api: Api, events: AccountEvents): void {
  const open = new Set<FastifyReply>();
  // Else the server would wait for them while it closes.
  api.addHook('preClose', (done) => {
    for (const reply of open) reply.raw.end();
    done();
  });
  api.get(
    '/events',
    {
      schema: {
        operationId: 'readEvents',
        tags: ['Events'],
        summary: 'What happens in the account, as server-sent events',
        description:
          'A stream that stays open (https://html.spec.whatwg.org/multipage/server-sent-events.html). docs/events.md lists ' +
          'the events. The first is `reset`: read anew by REST what you show. With `Last-Event-ID`, as `EventSource` sends ' +
          'it when it reconnects, the stream goes on after that event instead, if the gateway still has what came since: ' +
          'not after a restart. A reader that does not keep up is cut off, and may come back. 429: the account has too many.',
        params: AccountPath,
        querystring: Query,
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.String()) }),
        response: {
          200: {
            description: 'The stream.',
            content: { 'text/event-stream': { schema: { type: 'string' } } },
          },
          ...readErrors(),
        },
      },
    },
    async (request, reply) => {
      const { accountId } = request.params;
      if (events.readersOf(accountId) >= MAX_READERS) {
        throw new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', 'Too many read the events of this account.');
      }
      open.add(reply);
      reply.raw.once('close', () => open.delete(reply));
      await stream(request, reply, (way) =>
        events.read(accountId, {
          filter: request.query,
          lastEventId: request.headers['last-event-id'],
          ...way,
        }),
      );
    },
  );
}

/** How events go to a reader. */
type Way = Pick<Parameters<AccountEvents['read']>[1], 'send' | 'offer'>;

/** @param read begins to read; returns what ends it */
async function stream(
  request: FastifyRequest,
  reply: FastifyReply,
  read: (way: Way) => () => void,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  // better-sse writes the head itself.
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) raw.setHeader(name, value);
  const session = await createSession(request.raw, raw, {
    keepAlive: KEEP_ALIVE_MS,
    retry: RETRY_MS,
    // It is JSON already.
    serializer: String,
  });
  const send = ({ id, type, text }: SentEvent): void => {
    if (raw.writableLength > MAX_WAITING_BYTES) raw.destroy();
    else if (session.isConnected) session.push(text, type, id);
  };
  const end = read({
    send,
    offer: (event) => {
      if (raw.writableLength > 0) return false;
      send(event);
      return true;
    },
  });
  session.once('disconnected', end);
  // It may have gone before it was listened to.
  if (!session.isConnected) end();
}
