import type { Clock, EventHub, Log } from '../shared/index.js';
import type { CoreEvents, DeviceEvent } from './core.js';
import { deliveryFor } from './deliveries.js';
import { DeviceState } from './device-state.js';
import type { Directory } from './directory.js';
import { PatchbayError } from './errors.js';
import type { NoiseSuppression } from './noise-suppression.js';
import type { Limits } from './rules.js';
import type {
  DeliveredStream,
  Device,
  DeviceCapabilities,
  DeviceKind,
  EndReason,
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
  /** How many watch the levels of a session. */
  readonly #watchers = new Map<string, number>();
  #publishedSoFar = 0;
  /** Devices that their accounts had no room for. */
  refused = 0;

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

  /** @throws PatchbayError DEVICE_NOT_FOUND */
  deviceOf({ id }: Participant): Device {
    const live = this.#live.get(id);
    if (live) return live.device;
    throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The participant has no device connected.');
  }

  /**
   * Refuses commands that the device cannot do, for all of them in one place.
   * @throws PatchbayError DEVICE_NOT_FOUND, DEVICE_CANNOT
   */
  capability<C extends keyof DeviceCapabilities>(
    participant: Participant,
    name: C,
  ): NonNullable<DeviceCapabilities[C]> {
    const { capabilities, info } = this.deviceOf(participant);
    const capability = capabilities[name];
    if (capability !== undefined) return capability;
    throw new PatchbayError('PATCHBAY_DEVICE_CANNOT', `The connected ${info.kind} cannot do that.`);
  }

  /** @throws PatchbayError TOO_MANY_CALLS when the account has no room for a device of the participant */
  admit({ id, accountId }: Pick<Participant, 'id' | 'accountId'>): void {
    // A device that replaces another does not add to their number.
    if (this.#live.has(id) || this.countOf(accountId) < this.#limits.devicesPerAccount) return;
    this.refused += 1;
    throw new PatchbayError(
      'PATCHBAY_TOO_MANY_CALLS',
      'The account has reached its limit of connected devices.',
    );
  }

  /** Those that have a device. */
  participants(): readonly Participant[] {
    return Array.from(this.#live.keys()).flatMap((id) => this.#directory.participants.get(id) ?? []);
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
    if (!changed) return;
    const published = connection.streams.map(({ stream }) => stream);
    this.#events.emit('streamsChanged', { ...this.event(connection, participant), streams: published });
    this.#refresh(participant.sessionId);
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

  /** Replaces what the gateway itself plays to a participant's device, if it has one. */
  announce(participantId: string, streamIds: readonly string[]): void {
    this.#live.get(participantId)?.announce(streamIds);
    this.#refreshMember(participantId);
  }

  /** Wants the levels of a session's devices. @returns what ends that */
  watchLevels(sessionId: string): () => void {
    const change = (by: number): void => {
      const watchers = (this.#watchers.get(sessionId) ?? 0) + by;
      if (watchers === 0) this.#watchers.delete(sessionId);
      else this.#watchers.set(sessionId, watchers);
      for (const id of this.#directory.memberIds(sessionId)) this.#watch(this.#live.get(id), sessionId);
    };
    change(1);
    let hasEnded = false;
    return () => {
      if (!hasEnded) change(-1);
      hasEnded = true;
    };
  }

  /** Tells those that receive a stream of a participant, and want to know, who speaks in it. */
  spoken({ sessionId }: Participant, streamId: string, speech: StreamSpeech): void {
    if (sessionId === undefined) return;
    for (const id of this.#directory.memberIds(sessionId)) {
      const receiver = this.#live.get(id);
      const hearSpeech = receiver?.device.capabilities.hearSpeech;
      if (!hearSpeech || !receiver.receives(streamId)) continue;
      this.#guard('hearSpeech', () => hearSpeech(streamId, speech));
    }
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
    this.#events.emit('audienceChanged', sessionId);
  }

  /** Computes the delivery only now, since telling one device may have changed it for the next. */
  #refreshMember(participantId: string): void {
    const connection = this.#live.get(participantId);
    const participant = this.#directory.participants.get(participantId);
    if (!connection || !participant) return;
    const { sessionId, subscriptions } = participant;
    this.#watch(connection, sessionId);
    const published = sessionId === undefined ? [] : this.#published(sessionId);
    const heard = deliveryFor({ participantId, subscriptions }, published);
    const delivery = [...heard, ...connection.announcements];
    if (!connection.redirect(delivery)) return;
    const levelling =
      sessionId === undefined ? undefined : this.#directory.sessions.get(sessionId)?.levelling;
    this.#guard('deliver', () => connection.device.deliver(delivery, levelling));
    this.#events.emit('delivered', { ...this.event(connection, participant), delivery });
  }

  #watch(connection: DeviceState | undefined, sessionId: string | undefined): void {
    const isWatched = sessionId !== undefined && this.#watchers.has(sessionId);
    if (!connection || connection.isWatched === isWatched) return;
    connection.isWatched = isWatched;
    this.#guard('watchLevels', () => connection.device.watchLevels(isWatched));
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
