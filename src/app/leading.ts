import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Store } from '../store/index.js';
import { Leader, type LeaderOptions, type OwnGateway } from './leader.js';
import { answerNoLeader, forgetPassing } from './passing.js';
import type { Config } from './read-config.js';

interface LeadingOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** The leader's part of this process, from the time when it becomes the leader. It never ceases to be that but by its end. */
export class Leading {
  readonly #options: LeadingOptions;
  #leader: Leader | undefined;
  #own: OwnGateway | undefined;
  #hasBegun = false;

  constructor(options: LeadingOptions) {
    this.#options = options;
  }

  /** Undefined while another gateway is the leader. */
  get leader(): Leader | undefined {
    return this.#leader;
  }

  /** This gateway is the leader. REST follows as soon as the rest of it is there. */
  async lead(store: Store, lease: LeaderOptions['lease']): Promise<Leader> {
    const leader = new Leader({ ...this.#options, store, lease });
    this.#leader = leader;
    if (this.#own) await leader.serve(this.#own);
    if (this.#hasBegun) leader.begin();
    return leader;
  }

  /** The rest of this gateway is there. */
  async serve(own: OwnGateway): Promise<void> {
    this.#own = own;
    await this.#leader?.serve(own);
  }

  /** The devices that an earlier process of this gateway left are connected again. */
  begin(): void {
    this.#hasBegun = true;
    this.#leader?.begin();
  }

  /** Answers a client's request for REST or the console. @returns whether this gateway is the leader; else nothing is done */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const leader = this.#leader;
    if (!leader) return false;
    forgetPassing(request);
    if (leader.answer) leader.answer(request, response);
    else answerNoLeader(response, 'The leader has just begun: try again in a moment.');
    return true;
  }

  /** Ends what the leader does from its own gateway, before the devices there end. */
  async endServices(): Promise<void> {
    await this.#leader?.endServices(this.#onError);
  }

  /** Ends the rest, with everything on disk. */
  async end(): Promise<void> {
    await this.#leader?.end(this.#onError);
  }

  readonly #onError = (part: string, error: unknown): void =>
    this.#options.log.error({ part, err: error }, 'a part of the leader could not stop cleanly');
}
