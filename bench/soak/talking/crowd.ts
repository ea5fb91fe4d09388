import { setTimeout as sleep } from 'node:timers/promises';
import type { Rest, SubscriptionsBody, TestParticipant } from '../../../test/support/rest.js';
import { isSame } from './hearing.js';
import { patiently } from './patience.js';
import type { Random } from './random.js';
import type { Talker } from './talker.js';
import { NotAnswered } from './transactions.js';

const SESSION_SIZE = 5;
const LOOK_MS = 100;
const CALLS_AGAIN_MS = 1000;
const MOST_CALLS = 100;
/** How long the gateway may take to hang up on a phone whose device was removed, with its deaths. */
const BYE_MS = 200_000;

/** What a crowd asks of REST. */
export type CrowdRest = Pick<
  Rest,
  'session' | 'participant' | 'subscribe' | 'join' | 'leave' | 'disconnectDevice'
>;

/** A talker with its participant. */
export interface Member<T extends Talker = Talker> {
  readonly talker: T;
  readonly participant: TestParticipant;
  readonly session: string;
  /** It joins the session when it is in a call already, so that its host is any. */
  readonly joinsLate: boolean;
  /** Members that it is to hear; absent: everyone. */
  subscribed: readonly Member<T>[] | undefined;
}

/** What is done to a member between kills. */
type Change = 'subscribe' | 'redial' | 'disconnect' | 'offer';
const CHANGES: readonly (readonly [Change, number])[] = [
  ['subscribe', 5],
  ['redial', 2],
  ['disconnect', 1],
  ['offer', 1],
];

/** Talkers in sessions, and what each of them is to hear. */
export class Crowd<T extends Talker> {
  readonly members: readonly Member<T>[];
  readonly #rest: CrowdRest;

  private constructor(rest: CrowdRest, members: readonly Member<T>[]) {
    this.#rest = rest;
    this.members = members;
  }

  /** Makes participants for talkers, all of which call. */
  static async gather<T extends Talker>(rest: CrowdRest, talkers: readonly T[]): Promise<Crowd<T>> {
    const members: Member<T>[] = [];
    let session = '';
    for (const [number, talker] of talkers.entries()) {
      if (number % SESSION_SIZE === 0) session = await rest.session();
      const participant = await rest.participant();
      members.push({ talker, participant, session, joinsLate: number % 2 === 1, subscribed: undefined });
    }
    const crowd = new Crowd(rest, members);
    for (const member of members) await crowd.dial(member);
    return crowd;
  }

  /** Has everybody say what is due by now. */
  talk(): void {
    for (const { talker } of this.members) talker.talk();
  }

  /** Those who do not hear exactly what they are to hear, with what they hear. @param since as of {@link Hearing.heard} */
  wrong(since?: number): string[] {
    return this.#wrong(this.members, since).map((member) => this.#describe(member));
  }

  /** Waits until each has heard exactly what it is to hear, from now on. @returns those who have not, with what they hear */
  async settled(withinMs: number): Promise<string[]> {
    const startedAt = performance.now();
    let left = this.members;
    while (left.length > 0 && performance.now() - startedAt < withinMs) {
      await sleep(LOOK_MS);
      left = this.#wrong(left, startedAt);
    }
    return left.map((member) => this.#describe(member));
  }

  /** Draws so many changes of different members, which are made when the results are called. */
  draw(random: Random, count: number): (() => Promise<void>)[] {
    return random.some(this.members, count).map((member) => {
      const change = random.weighted(CHANGES);
      const others = this.members.filter((other) => other !== member && other.session === member.session);
      const subscribed =
        random.below(4) === 0 ? undefined : random.some(others, random.below(others.length + 1));
      return () => this.#make(change, member, subscribed);
    });
  }

  /** Those who are deaf or in no call begin anew. */
  async heal(): Promise<void> {
    const ill = this.#wrong(this.members);
    await Promise.all(ill.map((member) => this.#make('redial', member, undefined)));
  }

  async hangUp(): Promise<void> {
    await Promise.all(this.members.map(({ talker }) => talker.hangUp()));
  }

  close(): void {
    for (const { talker } of this.members) talker.close();
  }

  /** The tones that one is to hear now. */
  wanted(member: Member<T>): ReadonlySet<number> {
    const others = this.members.filter((other) => other !== member && other.session === member.session);
    return new Set(
      (member.subscribed ?? others).filter(({ talker }) => talker.isInCall).map(({ talker }) => talker.tone),
    );
  }

  async #make(
    change: Change,
    member: Member<T>,
    subscribed: readonly Member<T>[] | undefined,
  ): Promise<void> {
    const { talker, participant, session } = member;
    switch (change) {
      case 'subscribe':
        member.subscribed = subscribed;
        await this.#subscribe(member);
        return;
      case 'redial':
        await talker.hangUp();
        await this.dial(member);
        return;
      case 'disconnect': {
        const over = talker.removed(BYE_MS);
        await Promise.all([persist(() => this.#rest.disconnectDevice(participant.id), '404'), over]);
        await this.dial(member);
        return;
      }
      case 'offer':
        await talker.offerAgain().catch(async (error: unknown) => {
          // It crossed an offer of the gateway; or that died after its 100, which nobody can make good.
          if (!(error instanceof NotAnswered) || ![0, 491, 500].includes(error.status)) throw error;
          await sleep(CALLS_AGAIN_MS);
          await talker.offerAgain();
        });
        return;
    }
    throw new Error(`${String(change)} in ${session}`);
  }

  #wrong(members: readonly Member<T>[], since?: number): Member<T>[] {
    return members.filter((member) => {
      const heard = member.talker.hearing.heard(since);
      return !heard || !isSame(heard, this.wanted(member));
    });
  }

  #describe(member: Member<T>): string {
    const { hearing, tone, callId = 'no call' } = member.talker;
    const heard = hearing.heard();
    const said = heard ? `[${[...heard].join()}]` : `unsteadily ${hearing.describe()}`;
    return `${tone} (${callId}) hears ${said}, not [${[...this.wanted(member)].join()}]`;
  }

  #subscribe({ session, participant, subscribed }: Member<T>): Promise<void> {
    const body: SubscriptionsBody = !subscribed
      ? { sessionId: session }
      : { participants: subscribed.map((other) => ({ participantId: other.participant.id })) };
    return persist(() => this.#rest.subscribe(session, participant.id, body));
  }

  /** One who is in no call calls, again and again if need be, and joins the session. */
  async dial(member: Member<T>): Promise<void> {
    const { talker, participant, session, joinsLate } = member;
    const join = (): Promise<void> =>
      persist(() => this.#rest.join(session, participant.id, { sessionId: session }));
    if (joinsLate) await persist(() => this.#rest.leave(session, participant.id), '404');
    else await join();
    for (let calls = 1; ; calls += 1) {
      try {
        await talker.call(participant.token);
        break;
      } catch (error) {
        if (!(error instanceof NotAnswered) || calls === MOST_CALLS) throw error;
        await sleep(CALLS_AGAIN_MS);
      }
    }
    if (joinsLate) await join();
    member.subscribed = undefined;
  }
}

/**
 * Has REST do something.
 * @param done an error whose text has this means that an earlier attempt succeeded
 */
async function persist(request: () => Promise<void>, done?: string): Promise<void> {
  try {
    await patiently(request);
  } catch (error) {
    if (done === undefined || !String(error).includes(`: ${done} `)) throw error;
  }
}
