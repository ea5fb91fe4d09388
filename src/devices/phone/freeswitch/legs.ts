import type { FreeswitchConnection } from './connection.js';
import { hangupCauses, type Leg } from './leg.js';

export interface BridgedLegs {
  readonly phone: Leg;
  readonly media: Leg;
}

interface LegsOptions {
  /** Whether their FreeSWITCH still answers. When it does not, all its calls are told. */
  readonly check: () => Promise<boolean>;
  /** They ended without our doing, for these causes; without any, they are lost, though nobody hung up. */
  readonly onEnded: (causes: readonly string[]) => void;
}

/** The two legs of a call in a FreeSWITCH, to the phone and to the media plane, and how they end. */
export class Legs {
  readonly #options: LegsOptions;
  #phone: Promise<Leg> | undefined;
  #media: Promise<Leg> | undefined;
  #bridged: BridgedLegs | undefined;
  #hasEnded = false;
  /** Their end is our doing. */
  #isLeft = false;

  constructor(options: LegsOptions) {
    this.#options = options;
  }

  /** @throws Error before {@link takePhone} */
  get phone(): Promise<Leg> {
    return present(this.#phone);
  }

  /** @throws Error before {@link takeMedia} */
  get media(): Promise<Leg> {
    return present(this.#media);
  }

  /** @param leg may still be opened */
  takePhone(leg: Promise<Leg>): void {
    this.#phone = leg;
    this.#watch(leg);
  }

  /** @param leg may still be opened */
  takeMedia(leg: Promise<Leg>): void {
    this.#media = leg;
    this.#watch(leg);
  }

  /** Takes legs that an earlier gateway has bridged. */
  goOnWith(legs: BridgedLegs): void {
    this.takePhone(Promise.resolve(legs.phone));
    this.takeMedia(Promise.resolve(legs.media));
    this.#bridged = legs;
  }

  /**
   * Connects them once both are open.
   * @param events the phone has DTMF events; they pass as they are
   */
  async bridge(connection: FreeswitchConnection, events: boolean): Promise<void> {
    const [phone, media] = await Promise.all([this.phone, this.media]);
    if (events) await connection.passOnDtmf(phone, media);
    else phone.findDtmf();
    await connection.bridge(phone, media);
    this.#bridged = { phone, media };
  }

  /** Absent until they are bridged. */
  get bridged(): BridgedLegs | undefined {
    return this.#bridged;
  }

  /** Gives them up, those that are being opened too, without counting on FreeSWITCH. */
  leave(): void {
    this.#isLeft = true;
    for (const leg of this.#all) {
      leg.then(
        (ready) => ready.abandon(),
        () => undefined,
      );
    }
  }

  /** Ends them, those that are being opened too. Resolves when nothing is left. */
  async hangUp(): Promise<void> {
    this.#isLeft = true;
    const ends = this.#all.map(async (leg) => {
      // A leg that could not be opened needs no ending.
      const ready = await leg.catch(() => undefined);
      await ready?.hangUp();
    });
    await Promise.all(ends);
  }

  get #all(): Promise<Leg>[] {
    return [this.#phone, this.#media].filter((leg) => leg !== undefined);
  }

  #watch(leg: Promise<Leg>): void {
    leg.then(
      async (ready) => {
        await ready.ended;
        if (!this.#isLeft) await this.#onEnded();
      },
      () => undefined,
    );
  }

  async #onEnded(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const causes = await hangupCauses(this.#all);
    // Their connections broke. When all of FreeSWITCH is gone, that is the server's to tell.
    const isTold = causes.length > 0 || (await this.#options.check());
    if (isTold && !this.#isLeft) this.#options.onEnded(causes);
  }
}

function present(leg: Promise<Leg> | undefined): Promise<Leg> {
  if (!leg) throw new Error('The call has no legs.');
  return leg;
}
