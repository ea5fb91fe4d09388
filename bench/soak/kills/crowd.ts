import { setTimeout as sleep } from 'node:timers/promises';
import type { Rest, SubscriptionsBody, TestParticipant } from '../../../test/support/rest.js';
import { SoakPhone } from './phone.js';
import { NotAnswered } from './transactions.js';
import type { Random } from './random.js';
import { isSame } from './tones.js';

const SESSION_SIZE = 5;
/** How long a REST request is made again and again, while gateways die. */
const REST_PATIENCE_MS = 200_000;
const REST_AGAIN_MS = 100;
const CALLS_AGAIN_MS = 1000;
const MOST_CALLS = 20;
/** How long the gateway may take to hang up on a phone whose device was removed, with its deaths. */
const BYE_MS = 200_000;

/** A phone with its participant. */
interface Member {
  readonly phone: SoakPhone;
  readonly participant: TestParticipant;
  readonly session: string;
  /** It joins the session when it is in a call already, so that its host is any. */
  readonly joinsLate: boolean;
  /** Members that it is to hear; absent: everyone. */
  subscribed: readonly Member[] | undefined;
}

/** What is done to a member between kills. */
type Change = 'subscribe' | 'redial' | 'disconnect' | 'offer';
const CHANGES: readonly (readonly [Change, number])[] = [
  ['subscribe', 5],
  ['redial', 2],
  ['disconnect', 1],
  ['offer', 1],
];

/** Phones that talk in sessions, and what each of them is to hear. */
export class Crowd {
  readonly members: readonly Member[];
  readonly #rest: Rest;

  private constructor(rest: Rest, members: readonly Member[]) {
    this.#rest = rest;
    this.members = members;
  }

  /** Makes participants and their phones, all of which call. */
  static async gather(rest: Rest, sipPort: number, phones: number, run: string): Promise<Crowd> {
    const members: Member[] = [];
    let session = '';
    for (let tone = 0; tone < phones; tone += 1) {
      if (tone % SESSION_SIZE === 0) session = await rest.session();
      const participant = await rest.participant();
      const phone = await SoakPhone.open({ sipPort, tone, run });
      members.push({ phone, participant, session, joinsLate: tone % 2 === 1, subscribed: undefined });
    }
    const crowd = new Crowd(rest, members);
    for (const member of members) await crowd.#dial(member);
    return crowd;
  }

  /** Sends what every phone is to say by now. */
  talk(): void {
    for (const { phone } of this.members) phone.tones.send();
  }

  /** Those who do not hear exactly what they are to hear, with what they hear. @param since as of {@link Tones.heard} */
  wrong(since?: number): string[] {
    return this.members.flatMap((member) => {
      const wanted = this.#wanted(member);
      const heard = member.phone.tones.heard(since);
      if (heard && isSame(heard, wanted)) return [];
      const said = heard ? `[${[...heard].join()}]` : `unsteadily ${member.phone.tones.describe()}`;
      const who = `${member.phone.tone} (${member.phone.callId ?? 'no call'})`;
      return [`${who} hears ${said}, not [${[...wanted].join()}]`];
    });
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
    const ill = this.members.filter((member) => {
      const heard = member.phone.tones.heard();
      return !heard || !isSame(heard, this.#wanted(member));
    });
    await Promise.all(ill.map((member) => this.#make('redial', member, undefined)));
  }

  async hangUp(): Promise<void> {
    await Promise.all(this.members.map(({ phone }) => phone.hangUp()));
  }

  close(): void {
    for (const { phone } of this.members) phone.close();
  }

  #wanted(member: Member): ReadonlySet<number> {
    const others = this.members.filter((other) => other !== member && other.session === member.session);
    return new Set(
      (member.subscribed ?? others).filter(({ phone }) => phone.isInCall).map(({ phone }) => phone.tone),
    );
  }

  async #make(change: Change, member: Member, subscribed: readonly Member[] | undefined): Promise<void> {
    const { phone, participant, session } = member;
    switch (change) {
      case 'subscribe':
        member.subscribed = subscribed;
        await this.#subscribe(member);
        return;
      case 'redial':
        await phone.hangUp();
        await this.#dial(member);
        return;
      case 'disconnect': {
        const over = phone.removed(BYE_MS);
        await Promise.all([persist(() => this.#rest.disconnectDevice(participant.id), '404'), over]);
        await this.#dial(member);
        return;
      }
      case 'offer':
        await phone.offerAgain().catch(async (error: unknown) => {
          // It crossed an offer of the gateway; or that died after its 100, which nobody can make good.
          if (!(error instanceof NotAnswered) || ![0, 491, 500].includes(error.status)) throw error;
          await sleep(CALLS_AGAIN_MS);
          await phone.offerAgain();
        });
        return;
    }
    throw new Error(`${String(change)} in ${session}`);
  }

  #subscribe({ session, participant, subscribed }: Member): Promise<void> {
    const body: SubscriptionsBody = !subscribed
      ? { sessionId: session }
      : { participants: subscribed.map((other) => ({ participantId: other.participant.id })) };
    return persist(() => this.#rest.subscribe(session, participant.id, body));
  }

  async #dial(member: Member): Promise<void> {
    const { phone, participant, session, joinsLate } = member;
    const join = (): Promise<void> =>
      persist(() => this.#rest.join(session, participant.id, { sessionId: session }));
    if (joinsLate) await persist(() => this.#rest.leave(session, participant.id), '404');
    else await join();
    for (let calls = 1; ; calls += 1) {
      try {
        await phone.call(participant.token);
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
 * Makes a REST request again until it succeeds: the gateway may die at any moment.
 * @param done an error whose text has this means that an earlier attempt succeeded
 */
async function persist(request: () => Promise<void>, done?: string): Promise<void> {
  const until = performance.now() + REST_PATIENCE_MS;
  for (;;) {
    try {
      await request();
      return;
    } catch (error) {
      const text = String(error);
      if (done !== undefined && text.includes(`: ${done} `)) return;
      const isRefused = /: 4\d\d /.test(text);
      if (isRefused || performance.now() > until) throw error;
      await sleep(REST_AGAIN_MS);
    }
  }
}
