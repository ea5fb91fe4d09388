import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { createApi, type OnAnswered } from '../api/index.js';
import { Calls } from '../calls/index.js';
import { Desk } from '../cluster/index.js';
import { consolePage } from '../console/index.js';
import { type Core, createCore } from '../core/index.js';
import { turnCredentials } from '../devices/browser/index.js';
import { type EventFeed, feedFromCore } from '../events/index.js';
import type { MediaPlane } from '../media/index.js';
import { systemClock } from '../shared/index.js';
import type { Store } from '../store/index.js';
import type { OwnCalls, TestCalls } from '../trial/index.js';
import { createUsage, type Usage } from '../usage/index.js';
import { startAnnouncements } from './announcements.js';
import { gatewayReports } from './gateway-report.js';
import type { LoadControl } from './load/index.js';
import { nobodyListensAt } from './dead-gateway.js';
import { measureQuality, measureQualityHistory } from './metrics/quality.js';
import { measureEvents, measureState, measureStore } from './metrics/state.js';
import { measureRefusedCredentials } from './metrics/traffic.js';
import { factsOfPassed } from './passing.js';
import type { Phones } from './phones.js';
import type { ProgramsPart } from './programs.js';
import { type Config, DEVELOPMENT_ACCOUNT } from './read-config.js';
import { Teardown } from './teardown.js';
import { startTestCalls } from './test-calls.js';
import { VERSION } from './version.js';

export interface LeaderOptions {
  readonly store: Store;
  /** Which leader this is, and whether no other can be the leader now. */
  readonly lease: { readonly epoch: number; readonly isHeld: () => boolean };
  readonly metrics: Registry;
  readonly config: Config;
  readonly log: Logger;
}

/** What the leader uses of the gateway that it is in: it plays announcements, calls and connects to programs from there. */
export interface OwnGateway {
  /** With the addresses for media. */
  readonly config: Config;
  readonly media: MediaPlane;
  readonly phones: Phones;
  readonly programs: ProgramsPart;
  readonly load: LoadControl;
  /** Names this gateway among those of the database. */
  readonly edgeId: string;
  readonly ownCalls: OwnCalls;
  readonly clients: Parameters<typeof factsOfPassed>[0];
  readonly onAnswered: OnAnswered;
}

/** The part of a gateway that decides: the core, what is told and kept of it, and REST. */
export class Leader {
  readonly core: Core;
  readonly desk: Desk;
  readonly usage: Usage;
  readonly store: Store;
  readonly #options: LeaderOptions;
  /** What is used by what follows, and stops after the devices of this gateway. */
  readonly #foundations = new Teardown();
  readonly #services = new Teardown();
  #answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  #begin: (() => void) | undefined;
  #testCalls: TestCalls | undefined;

  /** Begins to serve devices; REST follows by {@link serve}. */
  constructor(options: LeaderOptions) {
    const { store, lease, metrics, config, log } = options;
    const isShared = config.postgres !== undefined;
    this.#options = options;
    this.store = store;
    this.#foundations.add('store', () => store.close());
    this.core = createCore({
      tokenSecret: store.tokenSecret,
      store: store.core,
      limits: {
        ...config.lifetimes,
        ...config.memory,
        devicesPerAccount: config.devicesPerAccount,
        noiseSuppressions: config.noiseSuppression.max,
      },
      suppressedKinds: config.noiseSuppression.kinds,
      log: log.child({ part: 'core' }),
    });
    const { edgeLeaseMs, takesOver } = config.cluster;
    const known = {
      isOpen: (deviceId: string) => this.usage.isOpen(deviceId),
      isMissing: (participantId: string) => this.usage.isMissing(participantId),
    };
    this.desk = new Desk({
      core: this.core,
      epoch: lease.epoch,
      isLeading: lease.isHeld,
      calls: store.calls,
      // Without PostgreSQL no other process goes on with what this one knows of edges.
      ...(isShared && { store: store.edges, ...known, isDead: nobodyListensAt, edgeLeaseMs, takesOver }),
      clock: systemClock,
      log: log.child({ part: 'leader' }),
    });
    this.usage = createUsage({
      core: this.core,
      store: store.usage,
      log: log.child({ part: 'usage' }),
      ...config.usage,
    });
    // Stopped after the core: the end of the last devices still goes into their usage records.
    this.#foundations.add('usage', () => this.usage.stop());
    // The devices of other gateways go on.
    this.#foundations.add('core', () => (isShared ? this.core.handOver() : this.core.stop()));
    this.#foundations.add('desk', () => this.desk.stop());
    measureState(metrics, this.core, this.usage);
    measureQuality(metrics, this.core);
    measureStore(metrics, () => store.health(), config.postgres === undefined);
  }

  /** Answers a request for REST or the console; undefined before {@link begin}. */
  get answer(): ((request: IncomingMessage, response: ServerResponse) => void) | undefined {
    return this.#answer;
  }

  /** Prepares what applications see: REST, events, announcements, test calls. */
  async serve(own: OwnGateway): Promise<void> {
    const { log, metrics } = this.#options;
    const { core, usage, store } = this;
    const { config, media, phones, programs, load } = own;
    const services = this.#services;
    const announcements = await startAnnouncements(config, log, services, { core, media, metrics });
    const calls = new Calls({ core, usage, traces: this.desk.traces });
    measureQualityHistory(metrics, calls);
    core.on('measured', (event) => phones.captureQuality(event));
    const events = this.#readEvents();
    const testCalls = startTestCalls(config, log, services, {
      ...{ core, phones, events, metrics, announcements },
      ownCalls: own.ownCalls,
    });
    this.#testCalls = testCalls;
    const targets = await programs.connectTo({ core, store: store.programs }, services);
    const api = await this.#createRest(own, {
      ...{ usage, events, testCalls, calls },
      media: announcements.announcements,
      programs: targets,
      gateway: await gatewayReports(config, {
        ...{ core, media, usage, store, load, phones },
        gateways: () =>
          config.postgres
            ? this.desk.edges().map((edge) => ({ ...edge, leads: edge.id === own.edgeId }))
            : [],
      }),
    });
    this.#begin = () => {
      announcements.start();
      this.#answer = (request, response) => api.routing(request, response);
    };
  }

  /** Lets applications in, once the devices that an earlier gateway left are connected again. */
  begin(): void {
    this.#begin?.();
    // What is not carried on by then ended with its gateway.
    void this.desk.accounted.then(() => this.usage.closeCrashed());
  }

  async #createRest(
    own: OwnGateway,
    parts: Pick<
      Parameters<typeof createApi>[0],
      'usage' | 'events' | 'testCalls' | 'calls' | 'media' | 'programs' | 'gateway'
    >,
  ): Promise<FastifyInstance> {
    const { log, metrics, store } = this.#options;
    const { core } = this;
    const { config } = own;
    const {
      accounts,
      operators,
      rateLimit,
      turn,
      metricsFor,
      docsFor,
      lifetimes,
      memory,
      devicesPerAccount,
    } = config;
    // Valid as long as the participant's token.
    const iceServers =
      turn && ((id: string) => [turnCredentials(turn, id, Date.now() + lifetimes.participantLifetimeMs)]);
    const api = createApi({
      core,
      ...parts,
      ...factsOfPassed(own.clients),
      accounts,
      operators,
      developmentAccount: accounts.find((account) => account === DEVELOPMENT_ACCOUNT)?.id,
      rateLimit,
      iceServers,
      metrics,
      metricsFor,
      docsFor,
      tokenSecret: store.tokenSecret,
      sipUri: own.phones.address.sip,
      onRefused: measureRefusedCredentials(metrics),
      onAnswered: own.onAnswered,
      log,
      readiness: () => 'ready',
      about: {
        version: VERSION,
        sessionHours: lifetimes.sessionLifetimeMs / 3_600_000,
        requestsPerSecond: config.rateLimit?.requests,
        ...memory,
        devicesPerAccount,
      },
    });
    await api.register(consolePage, { core, iceServers: (id) => iceServers?.(id) ?? [] });
    await api.ready();
    this.#foundations.add('rest', async () => {
      this.#answer = undefined;
      await api.close();
    });
    return api;
  }

  /** What happens in accounts, for whoever reads it by REST. */
  #readEvents(): EventFeed {
    const feed = feedFromCore(this.core, systemClock);
    measureEvents(this.#options.metrics, feed);
    this.#services.add('events', () => feed.stop());
    return feed;
  }

  /** Test calls are calls of this process. */
  async endTestCalls(): Promise<void> {
    await this.#testCalls?.stop();
  }

  /** Ends what the leader does from its own gateway, before the devices there end. */
  endServices(onError: (part: string, error: unknown) => void): Promise<void> {
    return this.#services.run(onError);
  }

  /** Ends the rest, with everything on disk. */
  end(onError: (part: string, error: unknown) => void): Promise<void> {
    return this.#foundations.run(onError);
  }
}
