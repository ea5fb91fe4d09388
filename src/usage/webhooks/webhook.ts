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
