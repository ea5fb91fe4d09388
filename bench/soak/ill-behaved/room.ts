import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientPage, TestBrowser } from '../../../test/support/chromium.js';
import { launchChromium } from '../../../test/support/chromium.js';
import type { TestGateway } from '../../../test/support/gateway.js';
import type { Rest, TestParticipant } from '../../../test/support/rest.js';
import { type CallOptions, placeCall, type SippCall } from '../../../test/support/sipp.js';
import { WebhookReceiver } from '../../../test/support/webhook-receiver.js';

/** Keeps count of the turns of a run. */
export interface Turns {
  /** Whether this must be done now, again or for the first time. */
  readonly isDue: (name: string) => boolean;
  readonly did: (name: string) => void;
}

/** The application that the crowd belongs to. */
export interface Application {
  readonly gateway: TestGateway;
  readonly rest: Rest;
}

const PAGE_SAYS = 1500;
const PHONE_SAYS = 700;

const TRIES = 10;
const RETRY_AFTER_MS = 3000;
/** On a machine full of attackers everything takes longer. */
const limit = { withinMs: 20_000 };

/** Calls, and calls again while the gateway is full. @throws Error when it stays full */
export async function callIn(options: CallOptions): Promise<SippCall> {
  for (let tries = 1; ; tries += 1) {
    const call = await placeCall(options);
    const { status, startLine } = await call.final();
    if (status === 200) return call;
    await call.end();
    if (status !== 503 || tries === TRIES) throw new Error(`a call was refused: ${startLine}`);
    await sleep(RETRY_AFTER_MS);
  }
}

/** A session with a well-behaved page and phone, at which the effects of the others are measured. */
export class Room {
  readonly chrome: TestBrowser;
  readonly session: string;
  readonly page: ClientPage;
  readonly phone: SippCall;
  readonly application: Application;
  readonly webhooks: WebhookReceiver;
  /** The well-behaved, the page first. */
  readonly #members: readonly TestParticipant[];

  private constructor(parts: {
    application: Application;
    webhooks: WebhookReceiver;
    chrome: TestBrowser;
    session: string;
    members: readonly TestParticipant[];
    page: ClientPage;
    phone: SippCall;
  }) {
    this.application = parts.application;
    this.webhooks = parts.webhooks;
    this.#members = parts.members;
    this.chrome = parts.chrome;
    this.session = parts.session;
    this.page = parts.page;
    this.phone = parts.phone;
  }

  static async open(application: Application, limitS: number): Promise<Room> {
    const { gateway, rest } = application;
    const session = await rest.session();
    const members = [await rest.member(session), await rest.member(session)];
    const chrome = await launchChromium();
    const page = await chrome.openClient({ gatewayUrl: gateway.wsUrl, token: members[0]!.token });
    await page.publishTone(PAGE_SAYS);
    const token = members[1]!.token;
    const phone = await callIn({ sipPort: gateway.sipPort, token, tone: PHONE_SAYS, limitS });
    const webhooks = await WebhookReceiver.start();
    return new Room({ application, webhooks, chrome, session, members, page, phone });
  }

  /** A new participant with webhooks. */
  member(): Promise<TestParticipant> {
    return this.application.rest.member(this.session, { callbackUrl: this.webhooks.url });
  }

  /** The stream id of a participant in the room. */
  async streamOf(participantId: string): Promise<string> {
    return (await this.page.receives({ participantId, ...limit })).streamId;
  }

  get phoneId(): string {
    return this.#members[1]!.id;
  }

  /** Waits until both well-behaved members hear a tone. @throws when one does not */
  async bothHear(hertz: number, participantId: string): Promise<void> {
    await Promise.all([
      this.page.hears(hertz, { participantId, ...limit }),
      this.phone.tones.hears(hertz, limit.withinMs),
    ]);
  }

  /** Waits until both well-behaved members hear each other. */
  async isUndisturbed(): Promise<void> {
    await Promise.all([
      this.page.hears(PHONE_SAYS, { participantId: this.phoneId, ...limit }),
      this.phone.tones.hears(PAGE_SAYS, limit.withinMs),
    ]);
  }

  async close(): Promise<void> {
    const { rest } = this.application;
    try {
      await this.phone.hangUp();
    } finally {
      await this.phone.end();
      await this.chrome.close();
      this.webhooks.close();
    }
    for (const { id } of this.#members) await rest.deleteParticipant(id);
    await rest.deleteSession(this.session);
  }
}
