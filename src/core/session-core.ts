import { type Clock, EventHub, systemClock } from '../shared/index.js';
import { Announcing } from './announcing.js';
import type { CoreStore } from './core-store.js';
import type {
  ConnectedDevice,
  ConnectOptions,
  Core,
  CoreCounts,
  CoreEvents,
  CoreMemory,
  CoreOptions,
  ListOptions,
  NewParticipant,
  NewSession,
  Page,
  ParticipantChange,
} from './core.js';
import { hears } from './deliveries.js';
import { DeviceConnection } from './device-connection.js';
import { Switchboard } from './switchboard.js';
import { Directory } from './directory.js';
import { NoiseSuppression } from './noise-suppression.js';
import { PatchbayError } from './errors.js';
import { Lifetimes } from './lifetimes.js';
import { DEFAULT_CORE_LIMITS, type Limits } from './rules.js';
import { Memory } from './memory.js';
import { mayResume, ResumePoints } from './resume-points.js';
import { SAFE_SECRET_BYTES, Tokens } from './tokens.js';
import type {
  Connection,
  Device,
  DeviceInfo,
  DeviceKind,
  DtmfDigits,
  EndReason,
  FailedCall,
  Participant,
  ResumePoint,
  Session,
  Subscriptions,
} from './types.js';

/**
 * Starts a core with what its store has kept; what expired meanwhile is deleted.
 * @throws RangeError when the token secret is empty
 */
export function createCore(options: CoreOptions): Core {
  return new SessionCore(options);
}

/** Implements `Core`: membership rules come from `Directory`, connected devices from `Switchboard`. */
class SessionCore implements Core {
  readonly announcements: Announcing;
  readonly #store: CoreStore;
  readonly #limits: Limits;
  readonly #clock: Clock;
  readonly #tokens: Tokens;
  readonly #events: EventHub<CoreEvents>;
  readonly #directory: Directory;
  readonly #switchboard: Switchboard;
  readonly #resumePoints: ResumePoints;
  readonly #memory: Memory;
  readonly #suppression: NoiseSuppression;
  readonly #sessionLives: Lifetimes;
  readonly #participantLives: Lifetimes;
  #draining = false;

  constructor(options: CoreOptions) {
    const { tokenSecret, store, clock = systemClock, limits: changed, log, suppressedKinds = [] } = options;
    const limits = { ...DEFAULT_CORE_LIMITS, ...changed };
    this.#store = store;
    this.#limits = limits;
    this.#clock = clock;
    this.#tokens = new Tokens(tokenSecret, clock);
    if (Buffer.byteLength(tokenSecret) < SAFE_SECRET_BYTES) {
      log.warn({ bytes: Buffer.byteLength(tokenSecret), advised: SAFE_SECRET_BYTES }, 'short token secret');
    }
    this.#events = new EventHub(log);
    this.#memory = new Memory(limits);
    this.#directory = new Directory({ store, clock, limits, memory: this.#memory, events: this.#events });
    this.#suppression = new NoiseSuppression(limits.noiseSuppressions, suppressedKinds);
    this.#switchboard = new Switchboard({
      suppression: this.#suppression,
      directory: this.#directory,
      events: this.#events,
      clock,
      limits,
      log,
    });
    this.announcements = new Announcing(this.#directory, this.#switchboard, this.#events);
    this.#resumePoints = new ResumePoints(store, this.#memory);
    this.#sessionLives = new Lifetimes(clock, (id) => this.#endSession(id, 'expired'));
    this.#participantLives = new Lifetimes(clock, (id) => this.#endParticipant(id, 'expired'));
    this.#restore();
  }

  #restore(): void {
    const { sessions, participants, resumePoints } = this.#store.load();
    this.#directory.restore(sessions, participants);
    this.#resumePoints.restore(resumePoints, (id) => this.#directory.participants.get(id)?.accountId);
    for (const { id, expiresAt } of sessions) this.#sessionLives.start(id, expiresAt);
    for (const participant of participants) {
      this.#participantLives.start(participant.id, participant.expiresAt);
      this.#suppression.follow(participant, undefined);
    }
  }

  on<E extends keyof CoreEvents>(event: E, listener: (...args: CoreEvents[E]) => void): void {
    this.#events.on(event, listener);
  }

  off<E extends keyof CoreEvents>(event: E, listener: (...args: CoreEvents[E]) => void): void {
    this.#events.off(event, listener);
  }

  counts(): CoreCounts {
    return {
      sessions: this.#directory.sessions.size,
      participants: this.#directory.participants.size,
      devices: this.#switchboard.counts(),
      devicesRefused: this.#switchboard.refused,
      noiseSuppressions: this.#suppression.taken,
      noiseSuppressionsRefused: this.#suppression.refused,
    };
  }

  memory(): CoreMemory {
    return { bytes: this.#memory.bytes, refused: this.#memory.refused };
  }

  createSession(accountId: string, options: NewSession): Session {
    this.#store.admitChange();
    const session = this.#directory.createSession(accountId, options);
    this.#sessionLives.start(session.id, session.expiresAt);
    return session;
  }

  session(accountId: string, sessionId: string): Session {
    return this.#directory.session(accountId, sessionId);
  }

  sessions(accountId: string, options: ListOptions): Page<Session> {
    return this.#directory.sessions.page(accountId, options);
  }

  deleteSession(accountId: string, sessionId: string): void {
    this.#store.admitChange();
    this.#endSession(this.#directory.session(accountId, sessionId).id, 'session-deleted');
  }

  createParticipant(
    accountId: string,
    options: NewParticipant,
  ): { readonly participant: Participant; readonly token: string } {
    this.#store.admitChange();
    if (options.noiseSuppression === true) this.#suppression.admit();
    const participant = this.#directory.createParticipant(accountId, options);
    this.#suppression.follow(participant, undefined);
    this.#participantLives.start(participant.id, participant.expiresAt);
    return { participant, token: this.#tokens.issue(participant) };
  }

  tokenOf(accountId: string, participantId: string): string {
    return this.#tokens.issue(this.#directory.participant(accountId, participantId));
  }

  participant(accountId: string, participantId: string): Participant {
    return this.#directory.participant(accountId, participantId);
  }

  participants(accountId: string, options: ListOptions): Page<Participant> {
    return this.#directory.participants.page(accountId, options);
  }

  updateParticipant(accountId: string, participantId: string, change: ParticipantChange): void {
    this.#store.admitChange();
    const before = this.#directory.participant(accountId, participantId);
    if (change.noiseSuppression === true) this.#suppression.admit(participantId);
    this.#switchboard.suppressionChanged(this.#directory.updateParticipant(before, change));
  }

  deleteParticipant(accountId: string, participantId: string): void {
    this.#store.admitChange();
    this.#endParticipant(this.#directory.participant(accountId, participantId).id, 'participant-deleted');
  }

  members(accountId: string, sessionId: string): readonly Participant[] {
    return this.#directory.members(this.#directory.session(accountId, sessionId).id);
  }

  addToSession(
    accountId: string,
    sessionId: string,
    participantId: string,
    subscriptions?: Subscriptions,
  ): void {
    this.#store.admitChange();
    const session = this.#directory.session(accountId, sessionId);
    const before = this.#directory.participant(accountId, participantId);
    const after = this.#directory.join(session, before, subscriptions);
    if (before.sessionId === undefined) this.#switchboard.moved(after, undefined);
    else this.#switchboard.resubscribed(after);
  }

  removeFromSession(accountId: string, sessionId: string, participantId: string): void {
    this.#store.admitChange();
    const member = this.#directory.member(accountId, sessionId, participantId);
    this.#switchboard.moved(this.#directory.leave(member), sessionId);
  }

  subscriptions(accountId: string, sessionId: string, participantId: string): Subscriptions {
    return this.#directory.member(accountId, sessionId, participantId).subscriptions;
  }

  setSubscriptions(
    accountId: string,
    sessionId: string,
    participantId: string,
    subscriptions: Subscriptions,
  ): void {
    this.#store.admitChange();
    const member = this.#directory.member(accountId, sessionId, participantId);
    this.#switchboard.resubscribed(this.#directory.setSubscriptions(sessionId, member, subscriptions));
  }

  device(accountId: string, participantId: string): ConnectedDevice | undefined {
    const live = this.#switchboard.get(this.#directory.participant(accountId, participantId).id);
    return live && { info: live.device.info, connectedAt: live.connectedAt, ...live.media() };
  }

  disconnectDevice(accountId: string, participantId: string): void {
    this.#store.admitChange();
    const participant = this.#directory.participant(accountId, participantId);
    this.#switchboard.deviceOf(participant);
    this.#closeDevices([participant], 'disconnected');
  }

  async sendDtmf(accountId: string, participantId: string, dtmf: DtmfDigits): Promise<void> {
    const participant = this.#directory.participant(accountId, participantId);
    await this.#switchboard.capability(participant, 'sendDtmf')(dtmf);
  }

  setByeHeaders(accountId: string, participantId: string, headers: Readonly<Record<string, string>>): void {
    const participant = this.#directory.participant(accountId, participantId);
    this.#switchboard.capability(participant, 'setByeHeaders')(headers);
  }

  watchLevels(sessionId: string): () => void {
    return this.#switchboard.watchLevels(sessionId);
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  recognizes(token: string): boolean {
    try {
      this.authenticate(token);
      return true;
    } catch (error) {
      if (error instanceof PatchbayError) return false;
      throw error;
    }
  }

  authenticate(token: string, options?: { readonly ignoreExpiry?: boolean }): Participant {
    const ignoreExpiry = options?.ignoreExpiry ?? false;
    const { accountId, participantId } = this.#tokens.verify(token, { ignoreExpiry });
    return this.#directory.participant(accountId, participantId);
  }

  participantOf(participantId: string): Participant | undefined {
    return this.#directory.participants.get(participantId);
  }

  callFailed(participantId: string, call: FailedCall): void {
    const participant = this.#directory.participants.get(participantId);
    if (participant) this.#events.emit('callFailed', { at: this.#clock.now(), participant, call });
  }

  registerKind(kind: DeviceKind): void {
    this.#switchboard.registerKind(kind);
  }

  connect(participantId: string, device: Device, options: ConnectOptions): Connection {
    const { replace, carriedSince, held = false, signallingLost = false } = options;
    if (this.#draining) {
      throw new PatchbayError('PATCHBAY_SHUTTING_DOWN', 'The gateway is shutting down.');
    }
    const participant = this.#directory.participants.get(participantId);
    if (!participant) {
      throw new PatchbayError('PATCHBAY_PARTICIPANT_NOT_FOUND', 'There is no such participant.');
    }
    if (carriedSince === undefined) {
      this.#store.admitConnection();
      this.admitDevice(participant);
    }
    const present = this.#switchboard.get(participantId)?.device.info.id;
    if (typeof replace === 'string' && present !== replace) {
      throw new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The device to be replaced is gone.');
    }
    if (present !== undefined) {
      if (replace === false) {
        throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'The participant has a device connected.');
      }
      this.#closeDevices([participant], 'replaced');
    }
    const live = this.#switchboard.connect(participant, device, carriedSince);
    live.held = held;
    live.signallingLost = signallingLost;
    return new DeviceConnection(live, participant, {
      directory: this.#directory,
      switchboard: this.#switchboard,
      resumePoints: this.#resumePoints,
      events: this.#events,
    });
  }

  admitDevice(participant: Pick<Participant, 'id' | 'accountId'>): void {
    this.#switchboard.admit(participant);
  }

  connectedDevice(participantId: string): DeviceInfo | undefined {
    return this.#switchboard.get(participantId)?.device.info;
  }

  heardBy(participantId: string): readonly string[] {
    const { sessionId, subscriptions = {} } = this.#directory.participants.get(participantId) ?? {};
    if (sessionId === undefined) return [];
    const members = [...this.#directory.memberIds(sessionId)];
    return members.filter((id) => hears({ participantId, subscriptions }, id));
  }

  resumePoint(participantId: string, externalId: string): ResumePoint | undefined {
    return this.#resumePoints.get(participantId, externalId);
  }

  drain(): void {
    this.#draining = true;
  }

  async stop(): Promise<void> {
    this.drain();
    this.#closeDevices(this.#switchboard.participants(), 'shutdown');
    await this.handOver();
  }

  async handOver(): Promise<void> {
    this.drain();
    this.#sessionLives.stop();
    this.#participantLives.stop();
    await this.#store.flush();
  }

  #endSession(sessionId: string, reason: EndReason): void {
    const session = this.#directory.sessions.get(sessionId);
    if (!session) return;
    this.#sessionLives.cancel(sessionId, session.expiresAt);
    this.#closeDevices(this.#directory.members(sessionId), reason);
    this.#directory.deleteSession(session);
  }

  #endParticipant(participantId: string, reason: EndReason): void {
    const participant = this.#directory.participants.get(participantId);
    if (!participant) return;
    this.#participantLives.cancel(participantId, participant.expiresAt);
    this.#closeDevices([participant], reason);
    this.#resumePoints.forgetAll(participant);
    this.#directory.deleteParticipant(participant);
    this.#suppression.release(participantId);
  }

  #closeDevices(participants: readonly Participant[], reason: EndReason): void {
    if (!mayResume(reason)) {
      for (const participant of participants) {
        const externalId = this.connectedDevice(participant.id)?.externalId;
        if (externalId !== undefined) this.#resumePoints.forget(participant, externalId);
      }
    }
    this.#switchboard.close(participants, reason);
  }
}
