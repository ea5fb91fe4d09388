import type { Clock, EventHub, Log } from '../shared/index.js';
import type { ConnectedDevice, CoreEvents, DeviceEvent } from './core.js';
import { deliveryFor, sameDelivery } from './deliveries.js';
import type { Directory } from './directory.js';
import type { NoiseSuppression } from './noise-suppression.js';
import { type Limits, orderedMediaTypes } from './rules.js';
import type {
  DeliveredStream,
  Delivery,
  Device,
  DeviceKind,
  DeviceQuality,
  EndReason,
  MediaFormat,
  MediaFormats,
  MediaType,
  OmittedTrack,
  Participant,
  PublishedStream,
  StreamSpeech,
} from './types.js';

/** The connected devices. Tells each what it receives, whenever that changes. */
export class Switchboard {
  readonly #live = new Map<string, DeviceState>();
  /** How many devices of each kind are connected; a kind without any stays, with 0. */
  readonly #byKind = new Map<DeviceKind, number>();
  /** How many devices of each account are connected. */
  readonly #byAccount = new Map<string, number>();
  readonly #directory: Directory;
  readonly #events: EventHub<CoreEvents>;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #suppression: NoiseSuppression;
  #publishedSoFar = 0;

  constructor(parts: {
    directory: Directory;
    events: EventHub<CoreEvents>;
    clock: Clock;
    limits: Limits;
    log: Log;
    suppression: NoiseSuppression;
  }) {
    this.#suppression = parts.suppression;
    this.#directory = parts.directory;
    this.#events = parts.events;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#log = parts.log;
  }

  registerKind(kind: DeviceKind): void {
    this.#countKind(kind, 0);
  }

  /** Connected devices of each kind. */
  counts(): Readonly<Record<DeviceKind, number>> {
    return Object.fromEntries(this.#byKind);
  }

  get(participantId: string): DeviceState | undefined {
    return this.#live.get(participantId);
  }

  isLive(connection: DeviceState): boolean {
    return this.#live.get(connection.participantId) === connection;
  }

  countOf(accountId: string): number {
    return this.#byAccount.get(accountId) ?? 0;
  }

  participantIds(): readonly string[] {
    return [...this.#live.keys()];
  }

  /** @param carriedSince when it connected to an earlier gateway, in epoch ms; absent: it connects now */
  connect(participant: Participant, device: Device, carriedSince?: number): DeviceState {
    const connection = new DeviceState(participant.id, device, carriedSince ?? this.#clock.now());
    this.#live.set(participant.id, connection);
    this.#byAccount.set(participant.accountId, this.countOf(participant.accountId) + 1);
    this.#countKind(device.info.kind, 1);
    this.#suppress(connection, participant);
    this.#refresh(participant.sessionId);
    const event = this.event(connection, participant);
    if (carriedSince === undefined) this.#events.emit('connected', event);
    else this.#events.emit('carriedOver', { ...event, at: carriedSince });
    return connection;
  }

  publish(connection: DeviceState, participant: Participant, streams: readonly PublishedStream[]): void {
    const { streamsPerDevice } = this.#limits;
    if (streams.length > streamsPerDevice) {
      this.#log.warn(
        { participantId: participant.id, dropped: streams.length - streamsPerDevice },
        'a device publishes more streams than it may',
      );
    }
    const changed = connection.publish(
      streams.slice(0, streamsPerDevice),
      participant.publishPermissions,
      () => this.#publishedSoFar++,
    );
    if (changed) this.#refresh(participant.sessionId);
  }

  /** Ends these connections together, so that none of them is told that another left. */
  close(participants: readonly Participant[], reason: EndReason): void {
    const ended = participants.flatMap((participant) => this.#take(participant) ?? []);
    for (const { connection } of ended) this.#guard('close', () => connection.device.close(reason));
    for (const sessionId of new Set(participants.map((participant) => participant.sessionId))) {
      this.#refresh(sessionId);
    }
    for (const { event } of ended) this.#events.emit('left', { ...event, reason });
  }

  /** The device disconnected on its own. */
  drop(participant: Participant, reason: EndReason): void {
    const ended = this.#take(participant);
    this.#refresh(participant.sessionId);
    if (ended) this.#events.emit('left', { ...ended.event, reason });
  }

  /** A participant has entered or left a session. */
  moved(participant: Participant, oldSessionId: string | undefined): void {
    this.#refresh(oldSessionId);
    this.#refresh(participant.sessionId);
    this.#refreshMember(participant.id);
    const connection = this.#live.get(participant.id);
    if (connection) this.#events.emit('moved', this.event(connection, participant));
  }

  /** A participant has changed its subscriptions, but not its session. */
  resubscribed(participant: Participant): void {
    this.#refreshMember(participant.id);
  }

  /** Whether the participant's noise is to be suppressed may have changed. */
  suppressionChanged(participant: Participant): void {
    const connection = this.#live.get(participant.id);
    if (!connection) this.#suppression.follow(participant, undefined);
    else if (this.#suppress(connection, participant)) this.#refresh(participant.sessionId);
  }

  event(connection: DeviceState, participant: Participant): DeviceEvent {
    const session =
      participant.sessionId === undefined ? undefined : this.#directory.sessions.get(participant.sessionId);
    return {
      at: this.#clock.now(),
      device: connection.device.info,
      participant,
      ...(session ? { session } : {}),
      formats: connection.lastFormats,
      ...(connection.quality && { quality: connection.quality }),
    };
  }

  #take(participant: Participant): { connection: DeviceState; event: DeviceEvent } | undefined {
    const connection = this.#live.get(participant.id);
    if (!connection) return undefined;
    const event = this.event(connection, participant);
    this.#live.delete(participant.id);
    this.#countKind(connection.device.info.kind, -1);
    this.#suppression.follow(participant, undefined);
    const left = this.countOf(participant.accountId) - 1;
    if (left === 0) this.#byAccount.delete(participant.accountId);
    else this.#byAccount.set(participant.accountId, left);
    return { connection, event };
  }

  /** @returns whether the device's streams changed */
  #suppress(connection: DeviceState, participant: Participant): boolean {
    this.#suppression.follow(participant, connection.device.info.kind);
    return connection.suppress(this.#suppression.holds(participant.id));
  }

  #countKind(kind: DeviceKind, change: number): void {
    this.#byKind.set(kind, (this.#byKind.get(kind) ?? 0) + change);
  }

  /** Brings the deliveries of a session's devices up to date. */
  #refresh(sessionId: string | undefined): void {
    if (sessionId === undefined) return;
    // A copy, since telling one device may change who is in the session.
    const connected = Array.from(this.#directory.memberIds(sessionId)).filter((id) => this.#live.has(id));
    for (const id of connected) this.#refreshMember(id);
  }

  /** Computes the delivery only now, since telling one device may have changed it for the next. */
  #refreshMember(participantId: string): void {
    const connection = this.#live.get(participantId);
    const participant = this.#directory.participants.get(participantId);
    if (!connection || !participant) return;
    const { sessionId, subscriptions } = participant;
    const published = sessionId === undefined ? [] : this.#published(sessionId);
    const delivery = deliveryFor({ participantId, subscriptions }, published);
    if (!connection.redirect(delivery)) return;
    const levelling =
      sessionId === undefined ? undefined : this.#directory.sessions.get(sessionId)?.levelling;
    this.#guard('deliver', () => connection.device.deliver(delivery, levelling));
  }

  #published(sessionId: string): readonly DeliveredStream[] {
    return Array.from(this.#directory.memberIds(sessionId))
      .flatMap((id) => this.#live.get(id)?.streams ?? [])
      .sort((a, b) => a.order - b.order)
      .map((live) => live.stream);
  }

  /** An error of one device must not keep the others from being told. */
  #guard(what: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#log.error({ err: error }, `a device failed at ${what}`);
    }
  }
}

/** A stream that is published now, with its place in the order of publishing. */
interface LiveStream {
  readonly stream: DeliveredStream;
  readonly order: number;
}

/** A connected device and what it publishes and receives now. */
export class DeviceState {
  readonly participantId: string;
  readonly device: Device;
  /** Epoch milliseconds. */
  readonly connectedAt: number;
  signallingLost = false;
  held = false;
  /** Tracks of the delivery that the device cannot be sent, as it said last. */
  omitted: readonly OmittedTrack[] = [];
  /** The last that was measured. */
  quality: DeviceQuality | undefined;
  #streams: readonly LiveStream[] = [];
  #isSuppressed = false;
  #delivery: Delivery = [];
  #lastFormats: MediaFormats = {};
  /** By the ids of streams in which somebody has spoken. */
  readonly #speech = new Map<string, StreamSpeech>();

  constructor(participantId: string, device: Device, connectedAt: number) {
    this.participantId = participantId;
    this.device = device;
    this.connectedAt = connectedAt;
    this.learnFormats();
  }

  /** The last known of each direction. */
  get lastFormats(): MediaFormats {
    return this.#lastFormats;
  }

  /** Takes how the device's media are carried now. @returns whether {@link lastFormats} changed */
  learnFormats(): boolean {
    const before = this.#lastFormats;
    const { received = before.received, sent = before.sent } = this.device.formats;
    if (sameFormat(received, before.received) && sameFormat(sent, before.sent)) return false;
    this.#lastFormats = { received, sent };
    return true;
  }

  get streams(): readonly LiveStream[] {
    return this.#streams;
  }

  /** What it publishes and receives, as `SessionControl.device` shows it. */
  media(): Pick<ConnectedDevice, 'streams' | 'delivery' | 'omitted' | 'formats' | 'quality' | 'held'> {
    const streams = this.#streams.map(({ stream: { streamId, alias, mediaTypes } }) => ({
      streamId,
      ...(alias === undefined ? {} : { alias }),
      mediaTypes,
      ...this.#speech.get(streamId),
    }));
    const held = this.device.capabilities.hold ? { held: this.held } : {};
    const { formats } = this.device;
    const quality = this.quality ? { quality: this.quality } : {};
    return { streams, delivery: this.#delivery, omitted: this.omitted, formats, ...quality, ...held };
  }

  /**
   * Replaces the streams. One that goes on keeps its place and, unless it changed, its object.
   * @param nextOrder gives the place of a stream that is new
   * @returns whether anything changed
   */
  publish(
    published: readonly PublishedStream[],
    permissions: readonly MediaType[],
    nextOrder: () => number,
  ): boolean {
    const before = this.#streams;
    const known = new Map(before.map((live) => [live.stream.streamId, live]));
    this.#streams = published
      .flatMap((stream) => permitted(stream, this.participantId, permissions) ?? [])
      .map((stream) => {
        const old = known.get(stream.streamId);
        if (!old) return { stream, order: nextOrder() };
        return sameStream(old.stream, stream) ? old : { stream, order: old.order };
      });
    this.#markSuppressed();
    for (const streamId of this.#speech.keys())
      if (!this.#streams.some((live) => live.stream.streamId === streamId)) this.#speech.delete(streamId);
    return before.length !== this.#streams.length || this.#streams.some((live, i) => live !== before[i]);
  }

  /** Sets whether its noise is suppressed, in the oldest of its streams with audio. @returns whether a stream changed */
  suppress(isSuppressed: boolean): boolean {
    this.#isSuppressed = isSuppressed;
    return this.#markSuppressed();
  }

  #markSuppressed(): boolean {
    const before = this.#streams;
    const audio = before.filter(({ stream }) => stream.mediaTypes.includes('audio'));
    const oldest = Math.min(...audio.map(({ order }) => order));
    this.#streams = before.map((live) => {
      const { noiseSuppression = false, ...stream } = live.stream;
      const isWanted = this.#isSuppressed && live.order === oldest;
      if (noiseSuppression === isWanted) return live;
      return { order: live.order, stream: isWanted ? { ...stream, noiseSuppression: true } : stream };
    });
    return this.#streams.some((live, i) => live !== before[i]);
  }

  /** Takes what is said in a stream. @returns the stream; undefined when that changes nothing, or it is none of the device's */
  heard(streamId: string, { isSpeaking, levelDb }: StreamSpeech): DeliveredStream | undefined {
    const before = this.#speech.get(streamId);
    if ((before?.isSpeaking ?? false) === isSpeaking) return undefined;
    const stream = this.#streams.find((live) => live.stream.streamId === streamId)?.stream;
    if (stream)
      this.#speech.set(streamId, { ...before, isSpeaking, ...(levelDb !== undefined && { levelDb }) });
    return stream;
  }

  /** Sets the delivery. @returns whether it differs from the one before, so that the device must be told */
  redirect(delivery: Delivery): boolean {
    if (sameDelivery(this.#delivery, delivery)) return false;
    this.#delivery = delivery;
    return true;
  }
}

function permitted(
  { streamId, alias, mediaTypes }: PublishedStream,
  participantId: string,
  permissions: readonly MediaType[],
): DeliveredStream | undefined {
  const granted = orderedMediaTypes(mediaTypes.filter((type) => permissions.includes(type)));
  if (granted.length === 0) return undefined;
  return { streamId, ...(alias === undefined ? {} : { alias }), mediaTypes: granted, participantId };
}

function sameStream(one: DeliveredStream, other: DeliveredStream): boolean {
  return one.alias === other.alias && one.mediaTypes.join() === other.mediaTypes.join();
}

function sameFormat(one: MediaFormat | undefined, other: MediaFormat | undefined): boolean {
  return one?.encryption === other?.encryption && one?.codecs.join() === other?.codecs.join();
}
