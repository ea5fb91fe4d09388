import type { Core, DeviceEvent, Participant, PublishedStream, Session } from '../core/index.js';
import type { Clock } from '../shared/index.js';
import { type AccountEvent, EventFeed } from './feed.js';
import { SessionLevels } from './session-levels.js';

/** What an event says of a participant and the session that it is in. */
function about(participant: Participant, session: Session | undefined) {
  return {
    sessionId: participant.sessionId,
    tags: [participant.tag, session?.tag].flatMap((tag) => tag ?? []),
    ids: { participantId: participant.id, sessionId: participant.sessionId, tag: participant.tag },
  };
}

const upper = ({ mediaTypes, ...stream }: PublishedStream): object => ({
  ...stream,
  mediaTypes: mediaTypes.map((type) => type.toUpperCase()),
});

/** Events of what happens in the core, in a feed for each account. docs/events.md describes each event. */
export function feedFromCore(
  core: Pick<Core, 'on' | 'watchLevels' | 'announcements'>,
  clock: Clock,
): EventFeed {
  const levels = new SessionLevels(core, clock, (accountId, event) => feed.offer(accountId, event));
  const feed = new EventFeed(clock, (accountId, sessionId) => levels.watch(accountId, sessionId));
  follow(feed, core);
  return feed;
}

function follow(feed: EventFeed, core: Pick<Core, 'on'>): void {
  /** Adds an event about a device, if anybody reads them. */
  const tell = (
    type: string,
    { at, device, participant, session }: DeviceEvent,
    more: () => object = () => ({}),
  ): void => {
    const { accountId } = participant;
    if (!feed.isRead(accountId)) return;
    const { ids, sessionId, tags } = about(participant, session);
    const data = { ...ids, deviceId: device.externalId, kind: device.kind, ...more() };
    feed.add(accountId, { type, at, sessionId, tags, data } satisfies AccountEvent);
  };
  core.on('carriedOver', (event) => tell('deviceCarriedOver', event));
  core.on('signallingLost', (event) => tell('signallingLost', event));
  core.on('held', (event) => tell('deviceHeld', event));
  core.on('resumed', (event) => tell('deviceResumed', event));
  core.on('connected', (event) => {
    const { direction, caller, callerName, called } = event.device;
    tell('deviceConnected', event, () => ({ direction, caller, callerName, called }));
  });
  core.on('left', (event) =>
    tell('deviceLeft', event, () => ({ reason: event.reason, quality: event.quality })),
  );
  core.on('formatsChanged', (event) => tell('formatsChanged', event, () => event.formats));
  core.on('speaking', (event) => {
    const { streamId, alias, isSpeaking, levelDb } = event;
    tell('speaking', event, () => ({ streamId, alias, speaking: isSpeaking, levelDb }));
  });
  core.on('dtmf', (event) =>
    tell('dtmf', event, () => ({ digit: event.digit, durationMs: event.durationMs })),
  );
  core.on('announcement', (event) => {
    const { announcementId, state, cause } = event;
    tell('announcement', event, () => ({ announcementId, state, cause }));
  });
  core.on('streamsChanged', (event) =>
    tell('streamsChanged', event, () => ({ streams: event.streams.map(upper) })),
  );
  core.on('delivered', (event) =>
    tell('deliveryChanged', event, () => ({ delivery: event.delivery.map(upper) })),
  );
  core.on('qualityMeasured', (event) => tell('quality', event, () => event.quality ?? {}));
  core.on('sessionChanged', ({ at, change, session: { accountId, id, tag } }) => {
    if (!feed.isRead(accountId)) return;
    const type = change === 'created' ? 'sessionCreated' : 'sessionDeleted';
    const tags = tag === undefined ? [] : [tag];
    feed.add(accountId, { type, at, sessionId: id, tags, data: { sessionId: id, tag } });
  });
  core.on('participantChanged', ({ at, change, participant, session }) => {
    const { accountId, subscriptions, publishPermissions, noiseSuppression } = participant;
    if (!feed.isRead(accountId)) return;
    const { ids, sessionId, tags } = about(participant, session);
    const facts = {
      subscriptions,
      publishPermissions: publishPermissions.map((type) => type.toUpperCase()),
      noiseSuppression,
    };
    const data = change === 'deleted' ? ids : { ...ids, ...facts };
    feed.add(accountId, { type: PARTICIPANT_EVENTS[change], at, sessionId, tags, data });
  });
  core.on('callFailed', ({ at, participant, call }) => {
    const { accountId } = participant;
    if (!feed.isRead(accountId)) return;
    const { ids, sessionId, tags } = about(participant, undefined);
    const { externalId: deviceId, kind, caller, callerName, called, status, reason } = call;
    const data = { ...ids, deviceId, kind, caller, callerName, called, status, reason };
    feed.add(accountId, { type: 'callFailed', at, sessionId, tags, data });
  });
}

const PARTICIPANT_EVENTS = {
  created: 'participantCreated',
  updated: 'participantUpdated',
  deleted: 'participantDeleted',
} as const;
