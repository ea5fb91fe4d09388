import { setImmediate } from 'node:timers/promises';
import { Type } from '@sinclair/typebox';
import {
  type Call,
  type CallFilter,
  type CallPage,
  callsCsv,
  ladderText,
  type QualitySeries,
} from '../../calls/index.js';
import { type CallTrace, MAX_PAGE } from '../../core/index.js';
import { continued, type CsvStreams } from '../csv-streams.js';
import { AccountPath, type Api, done, DoneSchema } from '../instance.js';
import {
  CallPageSchema,
  CallQuerySchema,
  CallSchema,
  CallTraceSchema,
  QualitySeriesSchema,
  readErrors,
  ref,
  writeErrors,
} from '../schemas/index.js';
import type { Slices } from '../slices.js';
import { callView, ladderMessageView, qualitySeriesView } from '../views.js';

/** Calls of accounts, and what is kept of them. All reject with PatchbayError CALL_NOT_FOUND for an unknown one. */
export interface CallReports {
  list(accountId: string, filter: CallFilter): Promise<CallPage>;
  call(accountId: string, id: string): Promise<Call>;
  trace(accountId: string, id: string): Promise<CallTrace>;
  deleteTrace(accountId: string, id: string): Promise<void>;
  quality(accountId: string, id: string): Promise<QualitySeries>;
}

const tags = ['Calls'];

const CallPath = Type.Object({
  ...AccountPath.properties,
  deviceId: Type.String({
    description: "The device's own id (a phone's Call-ID: the newest call with it), or a `connectionId`.",
  }),
});

/** Calls that are up, that are over, and that were refused. */
export function callRoutes(
  api: Api,
  calls: CallReports,
  { slices, csvStreams }: { readonly slices: Slices; readonly csvStreams: CsvStreams },
): void {
  api.get(
    '/calls',
    {
      schema: {
        operationId: 'listCalls',
        tags,
        summary: 'Calls: those that are up, that are over, and that were refused',
        description:
          'The newest first. Those that were answered come from usage records, refused ones are the last 500 since the ' +
          'start of the gateway. `Link` with `rel="next"` leads to the next page. The CSV without `limit` and `cursor` ' +
          'has all of them, in one stream. 429: too many reports of the account are in progress.',
        params: AccountPath,
        querystring: CallQuerySchema,
        response: {
          200: {
            description: 'The calls.',
            content: {
              'application/json': { schema: ref(CallPageSchema) },
              'text/csv': { schema: { type: 'string' } },
            },
          },
          ...readErrors(),
        },
      },
    },
    async ({ params: { accountId }, query, url }, reply) => {
      const { from, to, format = 'json', ...rest } = query;
      const filter = {
        ...rest,
        ...(from === undefined ? {} : { from: Date.parse(from) }),
        ...(to === undefined ? {} : { to: Date.parse(to) }),
      };
      if (format === 'csv') {
        reply.type('text/csv; charset=utf-8');
        reply.header('content-disposition', 'attachment; filename="calls.csv"');
        if (rest.limit === undefined && rest.cursor === undefined) {
          return csvStreams.open(reply, accountId, wholeCsv(calls, accountId, filter));
        }
      }
      const page = await calls.list(accountId, filter);
      if (page.next !== undefined) reply.header('link', `<${continued(url, page.next)}>; rel="next"`);
      if (format === 'csv') return callsCsv(page.items);
      const items = await slices.json(accountId, page.items, callView);
      const next = page.next === undefined ? '' : `,"next":${JSON.stringify(page.next)}`;
      return slices.send(reply, accountId, `{"items":[${items.join(',')}]${next}}`);
    },
  );

  api.get(
    '/calls/:deviceId',
    {
      schema: {
        operationId: 'getCall',
        tags,
        summary: 'All that is known of one call',
        params: CallPath,
        response: { 200: ref(CallSchema, 'The call.'), ...readErrors(404) },
      },
    },
    async ({ params }) => callView(await calls.call(params.accountId, params.deviceId)),
  );

  traceRoutes(api, calls, slices);

  api.get(
    '/calls/:deviceId/quality',
    {
      schema: {
        operationId: 'getCallQuality',
        tags,
        summary: 'How a call sounded over its time',
        description:
          'As measured every 5 s; after an hour every two points become one, and so on. In memory only: 404 also when ' +
          'nothing is kept any more.',
        params: CallPath,
        response: { 200: ref(QualitySeriesSchema, 'The series.'), ...readErrors(404) },
      },
    },
    async ({ params }) => qualitySeriesView(await calls.quality(params.accountId, params.deviceId)),
  );
}

/** The SIP messages of a call. */
function traceRoutes(api: Api, calls: CallReports, slices: Slices): void {
  api.get(
    '/calls/:deviceId/trace',
    {
      schema: {
        operationId: 'getCallTrace',
        tags,
        summary: 'The SIP messages of a call',
        description:
          'As the embedded SIP server received and sent them; with drachtio-server, as the application saw them. As text ' +
          'with `Accept: text/plain` or `format=text`. In memory only, until newer calls take their place ' +
          '(`PATCHBAY_TRACE_MB`): 404 also when nothing is kept any more. Of several gateways, what all have that answer ' +
          'within 2 s.',
        params: CallPath,
        querystring: Type.Object({
          format: Type.Optional(
            Type.Unsafe<'json' | 'text'>({
              type: 'string',
              enum: ['json', 'text'],
              description: 'Default: as `Accept` says.',
            }),
          ),
        }),
        response: {
          200: {
            description: 'The messages.',
            content: {
              'application/json': { schema: ref(CallTraceSchema) },
              'text/plain': { schema: { type: 'string' } },
            },
          },
          ...readErrors(404),
        },
      },
    },
    async ({ params: { accountId, deviceId }, query, headers }, reply) => {
      const { messages, left } = await calls.trace(accountId, deviceId);
      const wantsText = headers.accept?.trim().toLowerCase().startsWith('text/plain') ?? false;
      if ((query.format ?? (wantsText ? 'text' : 'json')) === 'text') {
        reply.type('text/plain; charset=utf-8');
        return ladderText(messages);
      }
      const items = await slices.json(accountId, messages, ladderMessageView);
      return slices.send(reply, accountId, `{"items":[${items.join(',')}],"left":${left}}`);
    },
  );

  api.delete(
    '/calls/:deviceId/trace',
    {
      schema: {
        operationId: 'deleteCallTrace',
        tags,
        summary: 'Forget the SIP messages of a call',
        description:
          'For the personal data in them. Nothing more is kept of the call. 503 with `PATCHBAY_NO_LEADER`: one of several ' +
          'gateways has not confirmed it, and may still have some.',
        params: CallPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      await calls.deleteTrace(params.accountId, params.deviceId);
      done(reply);
    },
  );
}

/** Calls that are written as CSV in one turn of the event loop. */
const SLICE = 100;

/** All calls, read page by page as the client reads. */
async function* wholeCsv(
  calls: CallReports,
  accountId: string,
  filter: CallFilter,
): AsyncGenerator<string, void> {
  let header = true;
  for (let cursor: string | undefined, more = true; more;) {
    const page = { ...filter, limit: MAX_PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const { items, next } = await calls.list(accountId, page);
    for (let at = 0; header || at < items.length; at += SLICE) {
      yield callsCsv(items.slice(at, at + SLICE), { header });
      header = false;
      await setImmediate();
    }
    cursor = next;
    more = next !== undefined;
  }
}
