import fastifyCookie from '@fastify/cookie';
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { PatchbayError, type SessionControl } from '../core/index.js';
import {
  type AddressedRequest,
  type Clock,
  type ClientAddress,
  clientAddresses,
  systemClock,
  TokenBucket,
} from '../shared/index.js';
import { logRequests, type OnAnswered, whenAnswered } from './answered.js';
import {
  type Account,
  accountOf,
  type Audience,
  authentication,
  Credentials,
  type Door,
  readableBy,
} from './authentication.js';
import { acceptBodies, requestValidators } from './validation.js';
import type { Api } from './instance.js';
import { type Readiness, serveHealth } from './health.js';
import { type GatewayFacts, serveOpenApi } from './openapi.js';
import {
  type AccountEvents,
  accountRoutes,
  type CallReports,
  type GatewayReports,
  type IceServers,
  type MediaControl,
  type ProgramControl,
  type TestCallControl,
  type UsageReports,
} from './routes/index.js';
import { components } from './schemas/index.js';
import { answerData, createServer, serveMetrics, type ServerOptions } from './server.js';
import { ConsoleSessions, FailedAttempts, type RefusedAttempt, signInRoutes } from './sign-in/index.js';

export interface ApiOptions extends ServerOptions {
  readonly core: SessionControl;
  readonly usage: UsageReports;
  readonly programs: ProgramControl;
  readonly media: MediaControl;
  readonly testCalls: TestCallControl;
  readonly events: AccountEvents;
  readonly calls: CallReports;
  /** What the gateway tells of itself. */
  readonly gateway: GatewayReports;
  readonly accounts: readonly Account[];
  /** The cookie of the console is signed with a key made of it. */
  readonly tokenSecret: string;
  /** Accounts that may see the whole gateway. */
  readonly operators: readonly string[];
  /** Id of the development account, if that is configured. */
  readonly developmentAccount?: string | undefined;
  /** Where phones call, as `sip:host:port`, for the console. */
  readonly sipUri?: string | undefined;
  readonly log: Logger;
  /** Served at `/metrics`. */
  readonly metrics: Registry;
  /** Who may read the metrics. Default: direct clients. */
  readonly metricsFor?: Audience;
  /** Who may read `/docs` and `/openapi.json`. Default: direct clients. */
  readonly docsFor?: Audience;
  readonly onAnswered?: OnAnswered;
  readonly readiness: () => Readiness;
  /** What the documents say of this gateway. */
  readonly about: GatewayFacts;
  /** For each account. Default: none. */
  readonly rateLimit?: RateLimit | undefined;
  /** Default: no TURN servers. */
  readonly iceServers?: IceServers | undefined;
  /** Finds the client's address, for the log. Default: the address of the connection. */
  readonly clientAddress?: ClientAddress;
  /** Whether a client's request came by TLS, by way of a proxy. Default: none did. */
  readonly isSecure?: (request: AddressedRequest) => boolean;
  /** User and password were wrong, or not looked at since too many had been. */
  readonly onRefused?: (door: Door, refused: RefusedAttempt) => void;
  /** For passwords and cookies. Default: the machine's. */
  readonly clock?: Clock;
}

/** Makes the HTTP server with the REST API on it. It does not listen yet. */
export function createApi(options: ApiOptions): FastifyInstance {
  const log = options.log.child({ part: 'api' });
  const api = createServer(log, options);
  acceptBodies(api);
  const { clientAddress = clientAddresses([]), onAnswered = () => undefined } = options;
  whenAnswered(api, [logRequests(log, clientAddress), onAnswered]);
  for (const schema of components) api.addSchema(schema);
  api.setValidatorCompiler(requestValidators(components));
  const { metricsFor = 'direct', docsFor = 'direct' } = options;
  serveOpenApi(api, options.about, readableBy(docsFor, clientAddress));
  api.register((gateway: Api, _options, done) => {
    answerData(gateway);
    serveHealth(gateway, options.readiness, options.about.version);
    done();
  });
  api.register((scope: Api, _options, done) => {
    scope.addHook('onRequest', readableBy(metricsFor, clientAddress));
    answerData(scope);
    serveMetrics(scope, options.metrics);
    done();
  });
  const authenticate = signIn(api, options, clientAddress, log);
  api.register(
    (account: Api, _options, done) => {
      answerData(account);
      account.addHook('onRequest', authenticate);
      if (options.rateLimit) limitRate(account, options.rateLimit);
      accountRoutes(account, { ...options, iceServers: options.iceServers ?? (() => []) });
      done();
    },
    { prefix: '/v1/accounts/:accountId' },
  );
  return api;
}

/**
 * Serves signing in at the console.
 * @returns a hook that lets in whoever has an account's credentials, or is signed in
 */
function signIn(
  api: Api,
  options: ApiOptions,
  clientAddress: ClientAddress,
  log: Logger,
): onRequestHookHandler {
  const { accounts, tokenSecret, clock = systemClock, onRefused = () => undefined } = options;
  const sessions = new ConsoleSessions({ tokenSecret, accounts, clock });
  const attempts = new FailedAttempts(clock);
  const shared = { sessions, attempts, clientAddress };
  // Before the scopes that read cookies.
  api.register(fastifyCookie);
  api.register((scope: Api, _options, done) => {
    answerData(scope);
    signInRoutes(scope, {
      ...shared,
      version: options.about.version,
      operators: options.operators,
      developmentAccount: options.developmentAccount,
      sipUri: options.sipUri,
      isSecure: options.isSecure ?? (() => false),
      onRefused: (refused) => onRefused('console', refused),
      log,
    });
    done();
  });
  return authentication({ ...shared, credentials: new Credentials(accounts), onRefused });
}

interface RateLimit {
  readonly requests: number;
  /** Default: 1,000. */
  readonly windowMs?: number;
}

/**
 * Limits the requests of each account. It counts after authentication, so that nobody without the password can use up
 * an account's limit, and so that there are no more buckets than accounts.
 */
function limitRate(api: Api, { requests, windowMs = 1000 }: RateLimit): void {
  const buckets = new Map<string, TokenBucket>();
  const bucketOf = (account: string): TokenBucket => {
    const known = buckets.get(account);
    if (known) return known;
    const bucket = new TokenBucket(
      { burst: requests, perSecond: (requests / windowMs) * 1000 },
      performance.now(),
    );
    buckets.set(account, bucket);
    return bucket;
  };
  api.addHook('onRequest', (request, reply, next) => {
    const bucket = bucketOf(accountOf(request));
    if (bucket.take(performance.now())) {
      next();
      return;
    }
    const seconds = Math.max(1, Math.ceil(bucket.waitMs(performance.now()) / 1000));
    reply.header('retry-after', seconds);
    next(new PatchbayError('PATCHBAY_TOO_MANY_REQUESTS', `Too many requests; retry in ${seconds} s.`));
  });
}
