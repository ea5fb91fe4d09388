import type {
  CallTrace,
  ConnectedDevice,
  MediaType,
  Participant,
  PublishedStream,
  Session,
  WaitingMusic,
} from '../core/index.js';
import type { Call, QualitySeries } from '../calls/index.js';
import type { ListedFailure, UsageRecord } from '../usage/index.js';
import type {
  CallTraceView,
  CallView,
  DeviceSummaryView,
  DeviceView,
  FailedCallsView,
  ParticipantDetailView,
  ParticipantView,
  QualitySeriesView,
  SessionView,
  UsageReportView,
} from './schemas/index.js';

/** A media type as REST writes it. */
const upper = (type: MediaType): 'AUDIO' | 'VIDEO' => (type === 'audio' ? 'AUDIO' : 'VIDEO');

/** The media types of a request. */
export const mediaTypes = (types: readonly ('AUDIO' | 'VIDEO')[]): MediaType[] =>
  types.map((type) => (type === 'AUDIO' ? 'audio' : 'video'));

export const moment = (epochMs: number): string => new Date(epochMs).toISOString();

/** A session as REST shows it. */
export function sessionView(session: Session): SessionView {
  const { id, tag, levelling, waitingMusic, joinTones, createdAt, expiresAt } = session;
  return {
    id,
    tag,
    levelling,
    waitingMusic: waitingMusic && musicView(waitingMusic),
    joinTones,
    createdAt: moment(createdAt),
    expiresAt: moment(expiresAt),
  };
}

function musicView({ mediaUrl, when }: WaitingMusic): NonNullable<SessionView['waitingMusic']> {
  return {
    ...(mediaUrl !== undefined && { mediaUrl }),
    // Those in it are in a session.
    when: when.filter((reason) => reason !== 'no-session'),
  };
}

function deviceSummaryView({ info, connectedAt }: ConnectedDevice): DeviceSummaryView {
  return { ...info, connectedAt: moment(connectedAt) };
}

/** A connected device as REST shows it, with the streams that it sends and receives. */
export function deviceView(device: ConnectedDevice): DeviceView {
  return {
    ...deviceSummaryView(device),
    held: device.held,
    ...device.formats,
    quality: device.quality,
    streams: device.streams.map(({ isSpeaking, ...stream }) => ({
      ...streamView(stream),
      speaking: isSpeaking,
    })),
    delivery: device.delivery.map(streamView),
    omitted: device.omitted.map((track) => ({ ...track, mediaType: upper(track.mediaType) })),
  };
}

function streamView<S extends PublishedStream>(stream: S) {
  return { ...stream, mediaTypes: stream.mediaTypes.map(upper) };
}

function viewOf<D>(participant: Participant, device: D) {
  return {
    id: participant.id,
    publishPermissions: participant.publishPermissions.map(upper),
    deviceApiVersion: participant.deviceApiVersion,
    tag: participant.tag,
    callbackUrl: participant.callbackUrl,
    events: participant.events.length > 0 ? participant.events : undefined,
    noiseSuppression: participant.noiseSuppression,
    sessions: participant.sessionId === undefined ? [] : [participant.sessionId],
    subscriptions: participant.subscriptions,
    createdAt: moment(participant.createdAt),
    expiresAt: moment(participant.expiresAt),
    device,
  };
}

/** A participant as listings show it: with its device, but without the streams of that. */
export function participantView(participant: Participant, device?: ConnectedDevice): ParticipantView {
  return viewOf(participant, device && deviceSummaryView(device));
}

/** A participant, with the streams that its device sends and receives now. */
export function participantDetailView(
  participant: Participant,
  device?: ConnectedDevice,
): ParticipantDetailView {
  return viewOf(participant, device && deviceView(device));
}

/** A refused call as REST shows it. */
export function failedCallView(call: ListedFailure): FailedCallsView['items'][number] {
  const { at, participantId, externalId: deviceId, kind, direction, caller, callerName, called } = call;
  const { status, reason, codecs } = call;
  return {
    at: moment(at),
    participantId,
    deviceId,
    kind,
    direction,
    caller,
    callerName,
    called,
    status,
    reason,
    codecs,
  };
}

/** A usage record as REST shows it. */
export function usageRecordView(record: UsageRecord): UsageReportView['items'][number] {
  return {
    ...record,
    startedAt: moment(record.startedAt),
    endedAt: record.endedAt === undefined ? undefined : moment(record.endedAt),
  };
}

/** A call as REST shows it. */
export function callView(call: Call): CallView {
  const { startedAt, endedAt, sessions, ...facts } = call;
  return {
    ...facts,
    startedAt: moment(startedAt),
    endedAt: endedAt === undefined ? undefined : moment(endedAt),
    sessions: sessions.map(({ sessionId, sessionTag, startedAt: since, endedAt: until }) => ({
      sessionId,
      sessionTag,
      startedAt: moment(since),
      endedAt: until === undefined ? undefined : moment(until),
    })),
  };
}

/** A message of a call's ladder as REST shows it. */
export function ladderMessageView(message: CallTrace['messages'][number]): CallTraceView['items'][number] {
  return { ...message, at: moment(message.at) };
}

/** How a call sounded over its time, as REST shows it. */
export function qualitySeriesView({ stepSeconds, points }: QualitySeries): QualitySeriesView {
  return { stepSeconds, points: points.map((point) => ({ ...point, at: moment(point.at) })) };
}
