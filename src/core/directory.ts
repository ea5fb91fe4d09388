import { v7 as uuid } from 'uuid';
import type { Clock, EventHub } from '../shared/index.js';
import { AccountTable } from './account-table.js';
import type { CoreStore } from './core-store.js';
import type { CoreEvents, NewParticipant, NewSession, ParticipantChange } from './core.js';
import { PatchbayError } from './errors.js';
import {
  checkNewParticipant,
  checkTag,
  keptSubscriptions,
  type Limits,
  NO_SUBSCRIPTIONS,
  orderedEvents,
  orderedMediaTypes,
} from './rules.js';
import { type Memory, participantBytes, sessionBytes } from './memory.js';
import type { Participant, Session, Subscriptions } from './types.js';

const NOBODY: ReadonlySet<string> = new Set();

/**
 * All sessions and participants, and who is in which session. Every change goes to the store too.
 * Ids are time-ordered UUIDs (RFC 9562 section 5.7), so that listings, in the order of ids, go by age.
 */
export class Directory {
  readonly sessions = new AccountTable<Session>();
  readonly participants = new AccountTable<Participant>();
  readonly #members = new Map<string, Set<string>>();
  readonly #store: CoreStore;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #memory: Memory;

  readonly #events: EventHub<CoreEvents>;

  constructor(parts: {
    store: CoreStore;
    clock: Clock;
    limits: Limits;
    memory: Memory;
    /** Get `sessionChanged` and `participantChanged`, except for what {@link restore} does. */
    events: EventHub<CoreEvents>;
  }) {
    this.#events = parts.events;
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#limits = parts.limits;
    this.#memory = parts.memory;
  }

  restore(sessions: readonly Session[], participants: readonly Participant[]): void {
    for (const session of sessions) {
      this.#memory.count(session.accountId, sessionBytes(session));
      this.sessions.set(session);
    }
    for (const participant of participants) {
      this.#memory.count(participant.accountId, participantBytes(participant));
      this.#place(participant);
    }
  }

  createSession(accountId: string, { tag, levelling, waitingMusic, joinTones }: NewSession): Session {
    checkTag(tag, this.#limits);
    if (this.sessions.countOf(accountId) >= this.#limits.sessionsPerAccount) throw tooMany('sessions');
    const createdAt = this.#clock.now();
    const session: Session = {
      id: uuid(),
      accountId,
      tag,
      levelling,
      ...(waitingMusic && { waitingMusic }),
      ...(joinTones !== undefined && { joinTones }),
      createdAt,
      expiresAt: createdAt + this.#limits.sessionLifetimeMs,
    };
    this.#memory.change(accountId, 0, sessionBytes(session));
    this.sessions.set(session);
    this.#store.saveSession(session);
    this.#events.emit('sessionChanged', { at: createdAt, change: 'created', session });
    return session;
  }

  createParticipant(accountId: string, options: NewParticipant): Participant {
    const { noiseSuppression } = options;
    checkNewParticipant(options, this.#limits);
    if (this.participants.countOf(accountId) >= this.#limits.participantsPerAccount) {
      throw tooMany('participants');
    }
    const { tag, callbackUrl, publishPermissions = [], deviceApiVersion = 'V3', events = [] } = options;
    const createdAt = this.#clock.now();
    const participant: Participant = {
      id: uuid(),
      accountId,
      publishPermissions: orderedMediaTypes(publishPermissions),
      deviceApiVersion,
      tag,
      callbackUrl,
      events: orderedEvents(events),
      ...(noiseSuppression !== undefined && { noiseSuppression }),
      sessionId: undefined,
      subscriptions: NO_SUBSCRIPTIONS,
      createdAt,
      expiresAt: createdAt + this.#limits.participantLifetimeMs,
    };
    this.#keep(participant);
    return participant;
  }

  /** @throws PatchbayError SESSION_NOT_FOUND, also when it is another account's */
  session(accountId: string, sessionId: string): Session {
    const session = this.sessions.get(sessionId);
    if (session?.accountId !== accountId) {
      throw new PatchbayError('PATCHBAY_SESSION_NOT_FOUND', 'There is no such session.');
    }
    return session;
  }

  /** @throws PatchbayError PARTICIPANT_NOT_FOUND, also when it is another account's */
  participant(accountId: string, participantId: string): Participant {
    const participant = this.participants.get(participantId);
    if (participant?.accountId !== accountId) {
      throw new PatchbayError('PATCHBAY_PARTICIPANT_NOT_FOUND', 'There is no such participant.');
    }
    return participant;
  }

  /** @throws PatchbayError SESSION_NOT_FOUND, PARTICIPANT_NOT_FOUND, NOT_A_MEMBER */
  member(accountId: string, sessionId: string, participantId: string): Participant {
    this.session(accountId, sessionId);
    const participant = this.participant(accountId, participantId);
    if (participant.sessionId !== sessionId) {
      throw new PatchbayError('PATCHBAY_NOT_A_MEMBER', 'The participant is not in this session.');
    }
    return participant;
  }

  /** Ids of a session's members. A live set: copy it before a change. */
  memberIds(sessionId: string): ReadonlySet<string> {
    return this.#members.get(sessionId) ?? NOBODY;
  }

  members(sessionId: string): readonly Participant[] {
    return Array.from(this.memberIds(sessionId)).flatMap((id) => this.participants.get(id) ?? []);
  }

  /**
   * Puts a participant into a session. One that is a member already keeps its subscriptions unless others are given.
   * @throws PatchbayError IN_OTHER_SESSION, SESSION_FULL, BAD_REQUEST, TOO_MANY_REQUESTS, OVERLOADED
   */
  join(session: Session, participant: Participant, subscriptions?: Subscriptions): Participant {
    if (participant.sessionId !== undefined && participant.sessionId !== session.id) {
      throw new PatchbayError(
        'PATCHBAY_IN_OTHER_SESSION',
        'The participant is in another session: remove it from there first.',
      );
    }
    const { membersPerSession } = this.#limits;
    const isNew = participant.sessionId === undefined;
    if (isNew && this.memberIds(session.id).size >= membersPerSession) {
      throw new PatchbayError(
        'PATCHBAY_SESSION_FULL',
        `The session is full: it holds at most ${membersPerSession} participants.`,
      );
    }
    return this.#keep({
      ...participant,
      sessionId: session.id,
      subscriptions: subscriptions
        ? keptSubscriptions(subscriptions, session.id, this.#limits)
        : participant.subscriptions,
    });
  }

  /** Takes a participant out of its session and deletes its subscriptions. */
  leave(participant: Participant): Participant {
    if (participant.sessionId !== undefined) this.#dropMember(participant.sessionId, participant.id);
    return this.#keep({ ...participant, sessionId: undefined, subscriptions: NO_SUBSCRIPTIONS });
  }

  updateParticipant(participant: Participant, change: ParticipantChange): Participant {
    return this.#keep({ ...participant, ...change });
  }

  /** @throws PatchbayError BAD_REQUEST, TOO_MANY_REQUESTS, OVERLOADED */
  setSubscriptions(sessionId: string, member: Participant, subscriptions: Subscriptions): Participant {
    return this.#keep({
      ...member,
      subscriptions: keptSubscriptions(subscriptions, sessionId, this.#limits),
    });
  }

  /** Deletes a session. Its members stay, without a session. */
  deleteSession(session: Session): void {
    for (const member of this.members(session.id)) this.leave(member);
    this.#memory.count(session.accountId, -sessionBytes(session));
    this.sessions.delete(session);
    this.#store.deleteSession(session.id);
    this.#events.emit('sessionChanged', { at: this.#clock.now(), change: 'deleted', session });
  }

  deleteParticipant(participant: Participant): void {
    if (participant.sessionId !== undefined) this.#dropMember(participant.sessionId, participant.id);
    this.#memory.count(participant.accountId, -participantBytes(participant));
    this.participants.delete(participant);
    this.#store.deleteParticipant(participant.id);
    this.#tell('deleted', participant);
  }

  #keep(participant: Participant): Participant {
    const before = this.participants.get(participant.id);
    this.#memory.change(
      participant.accountId,
      before ? participantBytes(before) : 0,
      participantBytes(participant),
    );
    this.#place(participant);
    this.#store.saveParticipant(participant);
    this.#tell(before ? 'updated' : 'created', participant);
    return participant;
  }

  #tell(change: 'created' | 'updated' | 'deleted', participant: Participant): void {
    const session = this.sessions.get(participant.sessionId ?? '');
    this.#events.emit('participantChanged', { at: this.#clock.now(), change, participant, session });
  }

  #place(participant: Participant): void {
    this.participants.set(participant);
    if (participant.sessionId === undefined) return;
    const members = this.#members.get(participant.sessionId);
    if (members) members.add(participant.id);
    else this.#members.set(participant.sessionId, new Set([participant.id]));
  }

  #dropMember(sessionId: string, participantId: string): void {
    const members = this.#members.get(sessionId);
    members?.delete(participantId);
    if (members?.size === 0) this.#members.delete(sessionId);
  }
}

function tooMany(what: string): PatchbayError {
  return new PatchbayError(
    'PATCHBAY_TOO_MANY_REQUESTS',
    `The account has too many ${what}: delete some first.`,
  );
}
