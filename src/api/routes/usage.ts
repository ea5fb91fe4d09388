import { type UsageFilter, type UsageReport, usageCsv } from '../../usage/index.js';
import type { Api } from '../instance.js';
import { readErrors, ref, UsageQuerySchema, UsageReportSchema } from '../schemas/index.js';
import { usageView } from '../views.js';
import { AccountPath } from './paths.js';

/** Reports what an account has used. */
export interface UsageReports {
  query(accountId: string, filter: UsageFilter): Promise<UsageReport>;
}

/** The billing report. */
export function usageRoutes(api: Api, usage: UsageReports): void {
  api.get(
    '/usage',
    {
      schema: {
        operationId: 'getUsage',
        tags: ['Usage'],
        summary: 'Connections of devices, with their seconds, and totals by tag',
        description:
          'A page of records in the order of their start. `Link` with `rel="next"` leads to the next page. ' +
          'The CSV has the records, the JSON also the totals.',
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
    async ({ params, query, url }, reply) => {
      const { from, to, format = 'json', ...filter } = query;
      const report = await usage.query(params.accountId, {
        ...filter,
        ...(from === undefined ? {} : { from: Date.parse(from) }),
        ...(to === undefined ? {} : { to: Date.parse(to) }),
      });
      if (report.next !== undefined) reply.header('link', `<${continued(url, report.next)}>; rel="next"`);
      if (format === 'json') return usageView(report);
      reply.type('text/csv; charset=utf-8').header('content-disposition', 'attachment; filename="usage.csv"');
      return usageCsv(report.items);
    },
  );
}

/** The path and query of the page after this. */
function continued(url: string, cursor: string): string {
  const next = new URL(url, 'http://gateway');
  next.searchParams.set('cursor', cursor);
  return next.pathname + next.search;
}
