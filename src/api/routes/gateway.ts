import { AccountPath, type Api } from '../instance.js';
import { GatewaySchema, type OwnShare, readErrors, ref, type WholeGateway } from '../schemas/index.js';
import { type AccountEvents, MAX_READERS } from './events.js';

/** What the gateway tells of itself. Nothing of it is secret, and only `whole` concerns other accounts. */
export interface GatewayReports {
  readonly version: string;
  own(accountId: string): OwnShare;
  whole(): WholeGateway;
}

/** @param operators accounts that see the whole gateway */
export function gatewayRoutes(
  api: Api,
  {
    reports,
    events,
    operators,
  }: {
    readonly reports: GatewayReports;
    readonly events: AccountEvents;
    readonly operators: readonly string[];
  },
): void {
  api.get(
    '/gateway',
    {
      schema: {
        operationId: 'getGateway',
        tags: ['Gateway'],
        summary: 'How the gateway is, and what the account uses of it',
        description:
          'Accounts of `PATCHBAY_OPERATORS` see the whole gateway, with its load, its servers, and warnings about its ' +
          'configuration. Others see their own share.',
        params: AccountPath,
        response: { 200: ref(GatewaySchema, 'The gateway.'), ...readErrors() },
      },
    },
    ({ params: { accountId } }) => ({
      version: reports.version,
      own: {
        ...reports.own(accountId),
        eventReaders: events.readersOf(accountId),
        maxEventReaders: MAX_READERS,
      },
      ...(operators.includes(accountId) && { gateway: reports.whole() }),
    }),
  );
}
