import type { DeviceEvent, DeviceInfo, Participant } from '../../core/index.js';

/** What is told of a participant's device. `onDtmf`, `onHold` and `onResume` are extensions of this gateway. */
export type WebhookEvent = 'onConnect' | 'onLeave' | 'onDisconnect' | 'onDtmf' | 'onHold' | 'onResume';

/** The JSON that the application is sent. */
export interface WebhookBody {
  readonly event: WebhookEvent;
  /** Epoch milliseconds, as text. */
  readonly timestamp: string;
  readonly participantId: string;
  /** The id that the device names itself by. */
  readonly deviceId: string;
  /** The participant's, when it has one. */
  readonly tag?: string;
  /** With `onDtmf`. */
  readonly digit?: string;
  /** With `onDtmf`. */
  readonly durationMs?: number;
}

/** One event on its way to the application. */
export interface Webhook {
  /** The same over all attempts. Ids grow with time. */
  readonly id: string;
  /** Whose participant it is of; absent in those that a gateway of before kept. */
  readonly accountId?: string;
  readonly url: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly body: WebhookBody;
}

/** The body that tells of a device's event. */
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

/** The body that tells of a digit. */
export function dtmfBody(
  event: DeviceEvent & { readonly digit: string; readonly durationMs: number },
): WebhookBody {
  return { ...webhookBody('onDtmf', event), digit: event.digit, durationMs: event.durationMs };
}

const WEIGHT_BYTES = 4_096;

/** The account of a webhook; empty for those stored by versions that did not know it. */
export function accountOf({ accountId = '' }: Webhook): string {
  return accountId;
}

/** A webhook's share of the queue: 1 for every 4 kB begun. */
export function weightOf({ url, body }: Webhook): number {
  return Math.ceil((url.length + JSON.stringify(body).length) / WEIGHT_BYTES);
}

/** What the log says of a webhook: of its URL only the origin, since path and query may hold secrets. */
export function about({ id, accountId, url, body }: Webhook): object {
  return {
    webhook: id,
    ...(accountId === undefined ? {} : { account: accountId }),
    event: body.event,
    participantId: body.participantId,
    server: new URL(url).origin,
  };
}
