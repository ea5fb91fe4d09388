/** What REST answers, as far as this page reads it. The OpenAPI document of the gateway describes all of it. */

export type MediaType = 'AUDIO' | 'VIDEO';

export interface ParticipantSubscription {
  readonly participantId: string;
  /** Absent or empty: all of its streams. */
  readonly streamAliases?: readonly string[];
}

/** `participants` with entries: exactly those; otherwise `sessionId`: everyone; neither: nobody. */
export interface Subscriptions {
  readonly sessionId?: string;
  readonly participants?: readonly ParticipantSubscription[];
}

export interface Stream {
  readonly streamId: string;
  readonly alias?: string;
  readonly mediaTypes: readonly MediaType[];
  readonly speaking?: boolean;
}

export interface DeliveredStream extends Stream {
  readonly participantId: string;
}

export interface MediaFormat {
  readonly codecs: readonly string[];
  readonly encryption: string;
}

export interface DirectionQuality {
  readonly packets: number;
  readonly lost?: number;
  readonly jitterMs?: number;
  readonly roundTripMs?: number;
  readonly levelDb?: number;
  readonly mos?: number;
}

export interface Device {
  readonly id: string;
  readonly kind: string;
  readonly externalId: string;
  readonly direction: 'inbound' | 'outbound';
  readonly caller?: string;
  readonly callerName?: string;
  readonly called?: string;
  readonly connectedAt: string;
  readonly held: boolean;
  readonly received?: MediaFormat;
  readonly sent?: MediaFormat;
  readonly quality?: { readonly received: DirectionQuality; readonly sent: DirectionQuality };
  readonly streams: readonly Stream[];
  readonly delivery: readonly DeliveredStream[];
  readonly omitted: readonly {
    readonly streamId: string;
    readonly mediaType: MediaType;
    readonly reason: string;
  }[];
}

export interface Participant {
  readonly id: string;
  readonly tag?: string;
  readonly publishPermissions: readonly MediaType[];
  readonly deviceApiVersion: 'V3' | 'V2';
  readonly callbackUrl?: string;
  readonly noiseSuppression?: boolean;
  readonly sessions: readonly string[];
  readonly subscriptions: Subscriptions;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly device?: Device;
}

export interface Session {
  readonly id: string;
  readonly tag?: string;
  readonly createdAt: string;
  readonly expiresAt: string;
}

export interface SessionDetail extends Session {
  readonly participants: readonly Participant[];
}

export interface CreatedParticipant {
  readonly participant: Participant;
  readonly token: string;
  readonly warnings?: readonly string[];
}

/** The connection of a device, or a call that was refused. */
export interface Call {
  readonly connectionId: string;
  readonly deviceId: string;
  readonly kind: string;
  readonly direction: string;
  readonly state: 'live' | 'ended' | 'failed';
  readonly caller?: string;
  readonly callerName?: string;
  readonly called?: string;
  readonly participantId: string;
  readonly participantTag?: string;
  readonly sessions: readonly { readonly sessionId: string; readonly sessionTag?: string }[];
  readonly test?: boolean;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly seconds: number;
  readonly endReason?: string;
  readonly status?: number;
  readonly reason?: string;
  readonly explanation?: string;
  readonly advice?: string;
  readonly offeredCodecs?: readonly string[];
  readonly received?: MediaFormat;
  readonly sent?: MediaFormat;
  readonly quality?: { readonly received: DirectionQuality; readonly sent: DirectionQuality };
}

/** A SIP message of a call, secrets masked. */
export interface SipMessage {
  readonly at: string;
  readonly direction: 'in' | 'out';
  readonly from: string;
  readonly to: string;
  readonly status?: number;
  readonly summary: string;
  readonly text: string;
  /** It came before: a retransmission. */
  readonly repeated: boolean;
}

export interface CallTrace {
  readonly items: readonly SipMessage[];
  /** Later messages that were not kept. */
  readonly left: number;
}

/** Counts are of a step, the rest is as it was at its end. */
export interface QualitySeries {
  readonly points: readonly {
    readonly at: string;
    readonly received: DirectionQuality;
    readonly sent: DirectionQuality;
  }[];
}

/** A page of a list. */
export interface Listed<T> {
  readonly items: readonly T[];
  /** Where the next page begins; absent: this is the last one. */
  readonly next?: string;
}

/** What people call a participant or session: its tag, or the end of its id, which differs most. */
export function nameOf({ id, tag }: { readonly id: string; readonly tag?: string }): string {
  return tag === undefined || tag === '' ? `…${id.slice(-6)}` : tag;
}
