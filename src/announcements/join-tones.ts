import type { Core, Participant } from '../core/index.js';
import type { Log } from '../shared/index.js';
import type { Players } from './players.js';
import type { Sounds } from './sounds.js';

/** Tones that tell who enters and leaves, for those who would hear the participant. */
export class JoinTones {
  readonly #core: Core;
  readonly #sounds: Sounds;
  readonly #players: Players;
  /** For sessions that do not say. */
  readonly #isDefault: boolean;
  readonly #log: Log;
  /** The session that each connected participant is in. */
  readonly #sessions = new Map<string, string>();
  /** A device that takes the place of another: nobody enters or leaves. */
  #replaced: string | undefined;

  constructor(parts: { core: Core; sounds: Sounds; players: Players; isDefault: boolean; log: Log }) {
    this.#core = parts.core;
    this.#sounds = parts.sounds;
    this.#players = parts.players;
    this.#isDefault = parts.isDefault;
    this.#log = parts.log;
    const { core } = parts;
    core.on('connected', ({ participant }) => {
      const isNew = this.#replaced !== participant.id;
      this.#replaced = undefined;
      this.#enter(participant, isNew);
    });
    core.on('carriedOver', ({ participant }) => this.#enter(participant, false));
    core.on('moved', ({ participant }) => {
      this.#leave(participant, true);
      this.#enter(participant, true);
    });
    core.on('left', ({ participant, reason }) => {
      if (reason === 'replaced') this.#replaced = participant.id;
      this.#leave(participant, reason !== 'replaced');
    });
  }

  #enter(participant: Participant, isTold: boolean): void {
    const { id, sessionId } = participant;
    if (sessionId === undefined) return;
    this.#sessions.set(id, sessionId);
    if (isTold) this.#tell(participant, sessionId, 'join');
  }

  #leave(participant: Participant, isTold: boolean): void {
    const sessionId = this.#sessions.get(participant.id);
    if (sessionId === undefined) return;
    this.#sessions.delete(participant.id);
    if (isTold) this.#tell(participant, sessionId, 'leave');
  }

  #tell({ id, publishPermissions }: Participant, sessionId: string, name: 'join' | 'leave'): void {
    const session = this.#core.announcements.session(sessionId);
    if (!session || !(session.joinTones ?? this.#isDefault)) return;
    // Nobody would hear it.
    if (!publishPermissions.includes('audio')) return;
    const hearers = this.#core.announcements.hearersOf(id, sessionId);
    if (hearers.length === 0) return;
    this.#sounds
      .load({ kind: 'tone', name })
      .then((sound) => {
        for (const participantId of hearers) {
          const tone = { purpose: 'tone', participantId, sound: sound.share(), times: 1, volume: 1 } as const;
          this.#players.play({ ...tone, onEnd: () => undefined });
        }
        sound.release();
      })
      .catch((error: unknown) => this.#log.error({ err: error, sessionId }, 'A tone could not be played.'));
  }
}
