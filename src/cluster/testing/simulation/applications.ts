import { PatchbayError } from '../../../core/index.js';
import { ACCOUNT } from '../../../core/testing/index.js';
import type { SimLeader } from './processes.js';
import type { World } from './world.js';

const MAX_PARTICIPANTS = 12;
const MAX_SESSIONS = 3;

/** What an application has done with a participant, in order: the state after each change, and the last acknowledged one. */
export interface Intended {
  readonly states: string[];
  acknowledged: number;
}

/** Applications change sessions and participants by REST. */
export class Applications {
  /** By participant. */
  readonly intended = new Map<string, Intended>();
  readonly #world: World;
  readonly #sessions: string[] = [];

  constructor(world: World) {
    this.#world = world;
  }

  /** Any gateway may be asked; it passes the request on, to a leader that answers only as long as it is one. */
  apply(leader: SimLeader): void {
    if (leader.isDead || leader.isPaused) return;
    try {
      this.#change(leader);
    } catch (error) {
      // It has not been read yet, or was deleted: an application gets such answers too.
      if (!(error instanceof PatchbayError)) throw error;
    }
  }

  /** A new session with so many new members that hear each other. @returns the members */
  gather(leader: SimLeader, members: number): string[] {
    const { core } = leader;
    const sessionId = core.createSession(ACCOUNT, {}).id;
    return Array.from({ length: members }, () => {
      const { id } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] }).participant;
      core.addToSession(ACCOUNT, sessionId, id, { sessionId });
      this.#intend(leader, id, sessionId);
      return id;
    });
  }

  #change(leader: SimLeader): void {
    const { core } = leader;
    const { random } = this.#world;
    if (this.#sessions.length < MAX_SESSIONS) this.#sessions.push(core.createSession(ACCOUNT, {}).id);
    const present = [...this.intended]
      .filter(([, { states }]) => states.at(-1) !== 'deleted')
      .map(([id]) => id);
    const choice = random.next();
    const id = random.of(present);
    if (id === undefined || (choice < 0.2 && present.length < MAX_PARTICIPANTS)) {
      const { participant } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] });
      this.#intend(leader, participant.id, 'outside');
    } else if (choice < 0.5) {
      const sessionId = random.of(this.#sessions)!;
      // It may have died with a leader that had not written it.
      core.session(ACCOUNT, sessionId);
      const before = core.participant(ACCOUNT, id).sessionId;
      if (before !== undefined) core.removeFromSession(ACCOUNT, before, id);
      core.addToSession(ACCOUNT, sessionId, id, random.chance(0.8) ? { sessionId } : {});
      this.#intend(leader, id, sessionId);
    } else if (choice < 0.6) {
      const before = core.participant(ACCOUNT, id).sessionId;
      if (before === undefined) return;
      core.removeFromSession(ACCOUNT, before, id);
      this.#intend(leader, id, 'outside');
    } else if (choice < 0.7) {
      core.deleteParticipant(ACCOUNT, id);
      this.#intend(leader, id, 'deleted');
    } else if (choice < 0.85) core.disconnectDevice(ACCOUNT, id);
  }

  /** The application is answered once the change is on disk. */
  #intend(leader: SimLeader, id: string, state: string): void {
    const intended = this.intended.get(id) ?? { states: [], acknowledged: -1 };
    this.intended.set(id, intended);
    intended.states.push(state);
    const index = intended.states.length - 1;
    this.#world.note(`${id} is to be ${state}`);
    leader.core.flush().then(
      () => (intended.acknowledged = Math.max(intended.acknowledged, index)),
      () => undefined,
    );
  }
}
