import type { EventHub } from '../shared/index.js';
import type { AnnouncementGate, AnnouncementReport, CoreEvents } from './core.js';
import { hears } from './deliveries.js';
import type { DeviceState } from './device-state.js';
import type { Directory } from './directory.js';
import type { Switchboard } from './switchboard.js';
import type { Session, WaitingReason } from './types.js';

/** Implements `AnnouncementGate`: what the gateway's own sound needs to know of sessions, and how it reaches devices. */
export class Announcing implements AnnouncementGate {
  readonly #directory: Directory;
  readonly #switchboard: Switchboard;
  readonly #events: EventHub<CoreEvents>;

  constructor(directory: Directory, switchboard: Switchboard, events: EventHub<CoreEvents>) {
    this.#directory = directory;
    this.#switchboard = switchboard;
    this.#events = events;
  }

  announce(participantId: string, streamIds: readonly string[]): void {
    this.#switchboard.announce(participantId, streamIds);
  }

  report(participantId: string, report: AnnouncementReport): void {
    const live = this.#switchboard.get(participantId);
    const participant = this.#directory.participants.get(participantId);
    if (!live || !participant) return;
    this.#events.emit('announcement', { ...this.#switchboard.event(live, participant), ...report });
  }

  waitingReason(participantId: string): WaitingReason | undefined {
    const participant = this.#directory.participants.get(participantId);
    if (!participant || !this.#switchboard.get(participantId)) return undefined;
    if (participant.sessionId === undefined) return 'no-session';
    const others = this.#connectedIn(participant.sessionId).filter(
      (one) => one.participantId !== participantId,
    );
    if (others.length === 0) return 'alone';
    return others.some(hasAudio) ? undefined : 'nobody-publishes';
  }

  hearersOf(participantId: string, sessionId: string): readonly string[] {
    return this.connectedIn(sessionId).filter((id) => {
      const { subscriptions = {} } = this.#directory.participants.get(id) ?? {};
      return hears({ participantId: id, subscriptions }, participantId);
    });
  }

  connectedIn(sessionId: string): readonly string[] {
    return this.#connectedIn(sessionId).map(({ participantId }) => participantId);
  }

  connected(): readonly string[] {
    return this.#switchboard.participants().map(({ id }) => id);
  }

  session(sessionId: string): Session | undefined {
    return this.#directory.sessions.get(sessionId);
  }

  #connectedIn(sessionId: string): readonly DeviceState[] {
    return Array.from(this.#directory.memberIds(sessionId)).flatMap((id) => this.#switchboard.get(id) ?? []);
  }
}

const hasAudio = ({ streams }: DeviceState): boolean =>
  streams.some(({ stream }) => stream.mediaTypes.includes('audio'));
