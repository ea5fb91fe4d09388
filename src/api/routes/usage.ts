import { setImmediate } from 'node:timers/promises';
import { MAX_PAGE } from '../../core/index.js';
import { type ListedFailure, type UsageFilter, type UsageReport, usageCsv } from '../../usage/index.js';
import { continued, type CsvStreams } from '../csv-streams.js';
import { AccountPath, type Api } from '../instance.js';
import { FailedCallsSchema, readErrors, ref, UsageQuerySchema, UsageReportSchema } from '../schemas/index.js';
import type { Slices } from '../slices.js';
import { failedCallView, usageRecordView } from '../views.js';

export interface UsageReports {
  query(accountId: string, filter: UsageFilter): Promise<UsageReport>;
  /** Why the operator's rules refuse a callback URL, in words; undefined when they do not. */
  callbackRefusal(url: string): Promise<string | undefined>;
  /** The last refused calls of an account, the newest first. */
  failedCalls(accountId: string): readonly ListedFailure[];
}

/** Route for the billing report. */
export function usageRoutes(
  api: Api,
  usage: UsageReports,
  { slices, csvStreams }: { readonly slices: Slices; readonly csvStreams: CsvStreams },
): void {
  api.get(
    '/usage',
    {
      schema: {
        operationId: 'getUsage',
        tags: ['Usage'],
        summary: 'Connections of devices with their lengths, and totals by tag',
        description:
          'A page of records in the order of their start. `Link` with `rel="next"` leads to the next page. ' +
          'The JSON includes the totals, which stay the same on all pages. The CSV has only the records; without `limit` ' +
          'and `cursor` all of them, in one stream. 429: too many reports of the account are in progress.',
        params: AccountPath,
        querystring: UsageQuerySchema,
        response: {
          200: {
            description: 'The report.',
            content: {
              'application/json': { schema: ref(UsageReportSchema) },
              'text/csv': { schema: { type: 'string' } },
            },
          },
          ...readErrors(),
        },
      },
    },
    async ({ params: { accountId }, query, url }, reply) => {
      const { from, to, format = 'json', ...page } = query;
      const filter = {
        ...page,
        ...(from === undefined ? {} : { from: Date.parse(from) }),
        ...(to === undefined ? {} : { to: Date.parse(to) }),
        totals: format === 'json',
      };
      if (format === 'csv') {
        reply.type('text/csv; charset=utf-8');
        reply.header('content-disposition', 'attachment; filename="usage.csv"');
        if (page.limit === undefined && page.cursor === undefined) {
          return csvStreams.open(reply, accountId, wholeCsv(usage, accountId, filter));
        }
      }
      const report = await usage.query(accountId, filter);
      if (report.next !== undefined) reply.header('link', `<${continued(url, report.next)}>; rel="next"`);
      if (format === 'csv') return usageCsv(report.items);
      const items = await slices.json(accountId, report.items, usageRecordView);
      const totals = await slices.json(accountId, report.totals, (total) => total);
      const next = report.next === undefined ? '' : `,"next":${JSON.stringify(report.next)}`;
      const json = `{"items":[${items.join(',')}]${next},"totals":[${totals.join(',')}]}`;
      return slices.send(reply, accountId, json);
    },
  );
}

/** Calls that were refused. */
export function failedCallRoutes(api: Api, usage: UsageReports, slices: Slices): void {
  api.get(
    '/calls/failed',
    {
      schema: {
        operationId: 'listFailedCalls',
        tags: ['Usage'],
        summary: 'The last calls that were refused',
        description:
          'Calls that came with the token of a participant of the account, also with an expired one, and were not ' +
          'answered: the newest first, since the start of the gateway. Of calls refused because the gateway was full, ' +
          'some may be missing when there are many.',
        params: AccountPath,
        response: { 200: ref(FailedCallsSchema, 'The calls.'), ...readErrors() },
      },
    },
    async ({ params: { accountId } }, reply) => {
      const items = await slices.json(accountId, usage.failedCalls(accountId), failedCallView);
      return slices.send(reply, accountId, `{"items":[${items.join(',')}]}`);
    },
  );
}

/** Records that are written as CSV in one turn of the event loop. */
const SLICE = 100;

/** All records of a report, read page by page as the client reads. */
async function* wholeCsv(
  usage: UsageReports,
  accountId: string,
  filter: UsageFilter,
): AsyncGenerator<string, void> {
  let header = true;
  for (let cursor: string | undefined, more = true; more;) {
    const page = { ...filter, limit: MAX_PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const { items, next } = await usage.query(accountId, page);
    for (let at = 0; header || at < items.length; at += SLICE) {
      yield usageCsv(items.slice(at, at + SLICE), { header });
      header = false;
      await setImmediate();
    }
    cursor = next;
    more = next !== undefined;
  }
}
