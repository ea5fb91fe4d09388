import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from './until.js';

/** A webhook as an application receives it. */
interface ReceivedWebhook {
  readonly event: string;
  readonly participantId: string;
  readonly digit?: string;
  /** With onSpeaking. */
  readonly streamId?: string;
  readonly speaking?: boolean;
  readonly levelDb?: number;
  /** With onAnnouncement. */
  readonly state?: string;
  readonly cause?: string;
}

/** An application's end of the webhooks, on a free port of 127.0.0.1. */
export class WebhookReceiver {
  readonly received: ReceivedWebhook[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        this.received.push(JSON.parse(body) as ReceivedWebhook);
        response.writeHead(204).end();
      });
    });
  }

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver();
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** The DTMF digits of a participant, in the order in which they came. */
  digits(participantId: string): string {
    return this.received
      .filter((webhook) => webhook.event === 'onDtmf' && webhook.participantId === participantId)
      .map(({ digit }) => digit)
      .join('');
  }

  /** Names of a participant's events in the order in which they came, digits aside. */
  events(participantId: string): readonly string[] {
    return this.received
      .filter((webhook) => webhook.event !== 'onDtmf' && webhook.participantId === participantId)
      .map(({ event }) => event);
  }

  /** Waits for an event of a participant. */
  event(name: string, participantId: string, withinMs = 20_000): Promise<true> {
    return until(`webhook ${name}`, () => this.events(participantId).includes(name), {
      withinMs,
      everyMs: 20,
      seen: () => Promise.resolve(this.received),
    });
  }

  /** Waits until a participant's digits are at least as many as expected. @returns all that came */
  async digitsOf(participantId: string, count: number, withinMs = 20_000): Promise<string> {
    await until(`${count} digits`, () => this.digits(participantId).length >= count, {
      withinMs,
      everyMs: 20,
      seen: () => Promise.resolve(this.digits(participantId)),
    });
    return this.digits(participantId);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
