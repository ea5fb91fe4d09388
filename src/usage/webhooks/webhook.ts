import { v5 as hashed } from 'uuid';
import type {
  AnnouncementReport,
  CoreEvents,
  DeviceEvent,
  DeviceInfo,
  DeviceQuality,
  FailedCall,
  MediaFormat,
  MediaFormats,
  Participant,
} from '../../core/index.js';

/** `onDtmf`, `onHold`, `onResume`, `onSpeaking`, `onCallFailed` and `onAnnouncement` are extensions of this gateway to Bandwidth's events. */
export type WebhookEvent =
  | 'onConnect'
  | 'onLeave'
  | 'onDisconnect'
  | 'onDtmf'
  | 'onHold'
  | 'onResume'
  | 'onSpeaking'
  | 'onCallFailed'
  | 'onAnnouncement';

/** The JSON body that the application gets. */
export interface WebhookBody {
  readonly event: WebhookEvent;
  /** Epoch milliseconds, as text. */
  readonly timestamp: string;
  readonly participantId: string;
  /** The device's `externalId`. */
  readonly deviceId: string;
  /** The participant's tag. */
  readonly tag?: string;
  /** With `onDtmf`. */
  readonly digit?: string;
  /** With `onDtmf`. */
  readonly durationMs?: number;
  /** With `onSpeaking`. */
  readonly streamId?: string;
  /** With `onSpeaking`, if the stream has one. */
  readonly alias?: string;
  /** With `onSpeaking`: whether somebody begins or ceases to speak. */
  readonly speaking?: boolean;
  /** With `onSpeaking`: level of the stream's speech so far, in dB relative to full scale. */
  readonly levelDb?: number;
  /** With `onCallFailed`: the SIP status of the refusal. */
  readonly status?: number;
  /** With `onLeave`: the reason, as in usage records; with `onCallFailed`: a text that says why. */
  readonly reason?: string;
  /** With `onConnect`, `onLeave` and `onCallFailed`, of phones. */
  readonly caller?: string;
  /** With `onConnect` and `onLeave`: the session that its participant is in. */
  readonly sessionId?: string;
  /** With `onConnect` and `onLeave`. */
  readonly kind?: string;
  /** With `onConnect` and `onLeave`. */
  readonly direction?: DeviceInfo['direction'];
  /** With `onConnect` and `onLeave`: codecs and encryption of what comes from the device; null: none agreed yet. */
  readonly received?: MediaFormat | null;
  /** The same for what is sent to it. */
  readonly sent?: MediaFormat | null;
  /** With `onLeave`: how long it was connected. */
  readonly seconds?: number;
  /** With `onLeave`: as it was measured last, at most five seconds before; absent for a shorter connection. */
  readonly quality?: DeviceQuality;
  /** With `onCallFailed`: names of the audio codecs that the phone offered. */
  readonly codecs?: readonly string[];
  /** With `onAnnouncement`: as the answer to the request had it. */
  readonly announcementId?: string;
  /** With `onAnnouncement`. */
  readonly state?: AnnouncementReport['state'];
  /** With `onAnnouncement` of an announcement that failed: why, in words. */
  readonly cause?: string;
}

/** One event on its way to the application. */
export interface Webhook {
  /** The key in the store; ids grow with time. */
  readonly id: string;
  /** The event's id for the application, the same in all attempts. An older version stored none, and used `id`. */
  readonly eventId?: string;
  /** Absent in webhooks that an older version stored. */
  readonly accountId?: string;
  readonly url: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly body: WebhookBody;
}

export function webhookBody(
  event: WebhookEvent,
  of: {
    readonly at: number;
    readonly device: Pick<DeviceInfo, 'externalId'>;
    readonly participant: Pick<Participant, 'id' | 'tag'>;
  },
): WebhookBody {
  return {
    event,
    timestamp: String(of.at),
    participantId: of.participant.id,
    deviceId: of.device.externalId,
    ...(of.participant.tag === undefined ? {} : { tag: of.participant.tag }),
  };
}

/** Further properties of `onConnect` and `onLeave`, the same as in usage records. */
export function connectionFacts(
  device: Pick<DeviceInfo, 'kind' | 'direction' | 'caller'>,
  sessionId: string | undefined,
  { received, sent }: MediaFormats,
): Pick<WebhookBody, 'sessionId' | 'kind' | 'direction' | 'caller' | 'received' | 'sent'> {
  const { kind, direction, caller } = device;
  return {
    ...(sessionId === undefined ? {} : { sessionId }),
    kind,
    direction,
    ...(caller === undefined ? {} : { caller }),
    received: received ?? null,
    sent: sent ?? null,
  };
}

export function dtmfBody(
  event: DeviceEvent & { readonly digit: string; readonly durationMs: number },
): WebhookBody {
  return { ...webhookBody('onDtmf', event), digit: event.digit, durationMs: event.durationMs };
}

export function speakingBody(event: CoreEvents['speaking'][0]): WebhookBody {
  const { streamId, alias, isSpeaking, levelDb } = event;
  return {
    ...webhookBody('onSpeaking', event),
    streamId,
    ...(alias === undefined ? {} : { alias }),
    speaking: isSpeaking,
    ...(levelDb === undefined ? {} : { levelDb }),
  };
}

export function announcementBody(event: CoreEvents['announcement'][0]): WebhookBody {
  const { announcementId, state, cause } = event;
  return {
    ...webhookBody('onAnnouncement', event),
    announcementId,
    state,
    ...(cause === undefined ? {} : { cause }),
  };
}

/** The body of `onCallFailed`. */
export function callFailedBody(
  at: number,
  participant: Pick<Participant, 'id' | 'tag'>,
  call: FailedCall,
): WebhookBody {
  const { status, reason, caller, codecs } = call;
  return {
    ...webhookBody('onCallFailed', { at, device: call, participant }),
    status,
    reason,
    ...(caller === undefined ? {} : { caller }),
    codecs,
  };
}

/** A random namespace. Changing it would change all ids. */
const EVENT_IDS = 'c0a7e0d1-6e0f-4b57-9d3c-2f6f1f2f8a11';

/**
 * The id of an event (UUID version 5, RFC 9562 section 5.5). It is the same whenever the event is sent again, also by a
 * gateway that was started from a copy of the data.
 * @param which its number among the connection's events of this kind, or `crash` when the gateway died. A gateway that
 *   took the connection over puts the time of that before the number, since it does not know how many were sent
 */
export function eventId(connectionId: string, event: WebhookEvent, which: number | string): string {
  return hashed(`${connectionId} ${event} ${which}`, EVENT_IDS);
}

const WEIGHT_BYTES = 4_096;

/** The account of a webhook; empty for those that an older version stored. */
export function accountOf({ accountId = '' }: Webhook): string {
  return accountId;
}

/** What a webhook counts in the queue: 1 for every 4 kB or part of it. */
export function weightOf({ url, body }: Webhook): number {
  return Math.ceil((url.length + JSON.stringify(body).length) / WEIGHT_BYTES);
}

/** A webhook's fields for the log. Only the URL's origin, since path and query may hold secrets. */
export function about({ id, eventId = id, accountId, url, body }: Webhook): object {
  return {
    webhook: eventId,
    ...(accountId === undefined ? {} : { account: accountId }),
    event: body.event,
    participantId: body.participantId,
    deviceId: body.deviceId,
    server: new URL(url).origin,
  };
}
