import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { AnnouncementsPart } from '../announcements/index.js';
import type { Core } from '../core/index.js';
import type { EventFeed } from '../events/index.js';
import { type OwnCalls, type SipTarget, type TestCall, TestCalls } from '../trial/index.js';
import { TargetGuard } from '../usage/index.js';
import type { Config } from './read-config.js';
import type { Teardown } from './teardown.js';
import { VERSION } from './version.js';

interface Parts {
  readonly core: Core;
  readonly phones: { receivesAt(): SipTarget | undefined };
  readonly events: EventFeed;
  readonly metrics: Registry;
  readonly ownCalls: OwnCalls;
  readonly announcements: AnnouncementsPart;
}

/** Prepares the built-in test caller. */
export function startTestCalls(
  config: Config,
  log: Logger,
  teardown: Teardown,
  { core, phones, events, metrics, ownCalls, announcements }: Parts,
): TestCalls {
  const [freeswitch] = config.freeswitch.servers;
  const testCalls = new TestCalls({
    core,
    ownCalls,
    sipTarget: () => phones.receivesAt(),
    rtpHost: freeswitch?.host ?? config.rtp.host,
    codecs: config.phoneCodecs,
    version: VERSION,
    triesApplications: config.voiceApiTrial,
    // Applications are asked where webhooks may be sent to.
    guard: new TargetGuard(config.usage.webhooks.targets),
    loadSound: (accountId, url) => announcements.samples(accountId, url),
    log: log.child({ part: 'trial' }),
    onChanged: (accountId, call) => tell(events, core, accountId, call),
  });
  teardown.add('test-calls', () => testCalls.stop());
  measure(metrics, testCalls);
  return testCalls;
}

/** Adds an event, if anybody reads them. */
function tell(feed: EventFeed, core: Core, accountId: string, call: TestCall): void {
  if (!feed.isRead(accountId)) return;
  const { testCallId, state, participantId, sessionId, deviceId, problem } = call;
  const session = sessionId === undefined ? undefined : core.announcements.session(sessionId);
  const participant = participantId === undefined ? undefined : core.participantOf(participantId);
  feed.add(accountId, {
    type: 'testCall',
    at: Date.now(),
    sessionId,
    tags: [participant?.tag, session?.tag].flatMap((tag) => tag ?? []),
    data: {
      testCallId,
      state,
      participantId,
      sessionId,
      deviceId,
      problem: problem?.code,
      // How many there are, so that a reader knows when to ask for them.
      steps: call.steps?.length,
    },
  });
}

function measure(metrics: Registry, testCalls: TestCalls): void {
  const registers = [metrics];
  new Gauge({
    name: 'patchbay_test_calls',
    help: 'Test calls under way',
    registers,
    collect() {
      this.set(testCalls.counts().running);
    },
  });
  new Counter({
    name: 'patchbay_test_calls_total',
    help: 'Test calls by how they went; refused: not begun, as there were too many',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset();
      const { answered, failed, refused } = testCalls.counts();
      for (const [outcome, count] of Object.entries({ answered, failed, refused }))
        this.inc({ outcome }, count);
    },
  });
}
