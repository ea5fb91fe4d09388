import type { EventHub } from '../shared/index.js';
import type { CoreEvents } from './core.js';
import type { Directory } from './directory.js';
import { mayResume, type ResumePoints } from './resume-points.js';
import type { DeviceState } from './device-state.js';
import type { Switchboard } from './switchboard.js';
import type {
  Connection,
  DeviceQuality,
  EndReason,
  OmittedTrack,
  Participant,
  PublishedStream,
  ResumePoint,
  StreamLoudness,
} from './types.js';

const DTMF_DIGIT = /^[0-9*#A-D]$/;

/** The parts of the core that a device's connection acts on. */
interface ConnectionParts {
  readonly directory: Directory;
  readonly switchboard: Switchboard;
  readonly resumePoints: ResumePoints;
  readonly events: EventHub<CoreEvents>;
}

/** Implements `Connection`: takes what a device reports into the core, until the connection ends. */
export class DeviceConnection implements Connection {
  readonly #live: DeviceState;
  readonly #parts: ConnectionParts;
  #participant: Participant;
  /** What was measured in all is known. */
  #isMeasured = false;

  constructor(live: DeviceState, participant: Participant, parts: ConnectionParts) {
    this.#live = live;
    this.#participant = participant;
    this.#parts = parts;
  }

  get participant(): Participant {
    const { directory, switchboard } = this.#parts;
    if (switchboard.isLive(this.#live)) {
      this.#participant = directory.participants.get(this.#participant.id) ?? this.#participant;
    }
    return this.#participant;
  }

  publish(streams: readonly PublishedStream[]): void {
    this.#whileLive((participant) => this.#parts.switchboard.publish(this.#live, participant, streams));
  }

  signallingLost(): void {
    this.#whileLive((participant) => {
      if (this.#live.signallingLost) return;
      this.#live.signallingLost = true;
      const event = this.#parts.switchboard.event(this.#live, participant);
      this.#parts.events.emit('signallingLost', event);
    });
  }

  signallingResumed(): void {
    this.#live.signallingLost = false;
  }

  dtmf(digit: string, durationMs: number): void {
    this.#whileLive((participant) => {
      if (!DTMF_DIGIT.test(digit)) return;
      const event = this.#parts.switchboard.event(this.#live, participant);
      this.#parts.events.emit('dtmf', { ...event, digit, durationMs });
    });
  }

  speaking(streamId: string, isSpeaking: boolean, levelDb?: number): void {
    this.#whileLive((participant) => {
      const rounded = levelDb === undefined ? {} : { levelDb: Math.round(levelDb * 10) / 10 };
      const speech = { isSpeaking, ...rounded };
      const stream = this.#live.heard(streamId, speech);
      if (!stream) return;
      const event = this.#parts.switchboard.event(this.#live, participant);
      const { alias } = stream;
      this.#parts.events.emit('speaking', {
        ...event,
        ...speech,
        streamId,
        ...(alias === undefined ? {} : { alias }),
      });
      this.#parts.switchboard.spoken(participant, streamId, speech);
    });
  }

  levels(levels: readonly StreamLoudness[]): void {
    this.#whileLive((participant) => {
      if (!this.#live.isWatched) return;
      const known = new Set(this.#live.streams.map(({ stream }) => stream.streamId));
      const permitted = levels.filter(({ streamId }) => known.has(streamId));
      this.#parts.events.emit('levels', { participant, levels: permitted });
    });
  }

  hold(held: boolean): void {
    this.#whileLive((participant) => {
      if (this.#live.held === held) return;
      this.#live.held = held;
      const event = this.#parts.switchboard.event(this.#live, participant);
      this.#parts.events.emit(held ? 'held' : 'resumed', event);
    });
  }

  formatsChanged(): void {
    this.#whileLive((participant) => {
      if (!this.#live.learnFormats()) return;
      this.#parts.events.emit('formatsChanged', this.#parts.switchboard.event(this.#live, participant));
    });
  }

  measured(quality: DeviceQuality): void {
    const { switchboard, events } = this.#parts;
    this.#live.quality = quality;
    if (switchboard.isLive(this.#live)) {
      events.emit('qualityMeasured', switchboard.event(this.#live, this.participant));
      return;
    }
    if (this.#isMeasured) return;
    this.#isMeasured = true;
    events.emit('measured', { ...switchboard.event(this.#live, this.#participant), quality });
  }

  omit(tracks: readonly OmittedTrack[]): void {
    this.#live.omitted = tracks;
  }

  saveResumePoint(point: ResumePoint): void {
    this.#whileLive((participant) => {
      this.#parts.resumePoints.save(participant, this.#live.device.info.externalId, point);
    });
  }

  end(reason: EndReason): void {
    this.#whileLive((participant) => {
      if (!mayResume(reason)) {
        this.#parts.resumePoints.forget(participant, this.#live.device.info.externalId);
      }
      this.#parts.switchboard.drop(participant, reason);
    });
  }

  #whileLive(act: (participant: Participant) => void): void {
    const participant = this.participant;
    if (this.#parts.switchboard.isLive(this.#live)) act(participant);
  }
}
