import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { Ajv } from 'ajv';
import { WebSocket } from 'ws';

export type Fields = Readonly<Record<string, unknown>>;

const schema = JSON.parse(readFileSync('docs/programs.schema.json', 'utf8')) as { readonly $id: string };

/** Whether a text message is as docs/programs.schema.json has it. */
export const isAsPublished = (direction: 'fromGateway' | 'fromProgram') =>
  new Ajv({ schemas: [schema], strict: false }).compile({ $ref: `${schema.$id}#/definitions/${direction}` });

const isFromGateway = isAsPublished('fromGateway');

/** A program that says just what the test wants, and keeps all that it hears. */
export class TestProgram {
  readonly socket: WebSocket;
  readonly messages: Fields[] = [];
  readonly audio: Buffer[] = [];
  /** Messages that are not as docs/programs.schema.json has them. */
  readonly violations: Fields[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** Status and text of the answer when the upgrade was refused. */
  readonly refusal: Promise<string>;
  readonly #waiting = new Set<() => void>();

  /** @param target a URL to connect to, or a socket that is there */
  constructor(target: string | WebSocket, headers: Readonly<Record<string, string>> = {}) {
    this.socket = typeof target === 'string' ? new WebSocket(target, { headers }) : target;
    this.socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.audio.push(data);
      else this.#take(JSON.parse(data.toString('utf8')) as Fields);
      for (const look of [...this.#waiting]) look();
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    this.refusal = new Promise((resolve, reject) => {
      this.socket.on('unexpected-response', (_request, response) => {
        text(response).then((body) => resolve(`${String(response.statusCode)} ${body}`), reject);
      });
    });
    this.socket.on('error', () => undefined);
  }

  #take(message: Fields): void {
    this.messages.push(message);
    if (!isFromGateway(message)) this.violations.push(message);
  }

  send(message: Fields | string | Buffer): void {
    const isRaw = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(isRaw ? message : JSON.stringify(message));
  }

  /** Waits until something is found; test frameworks set the limit. */
  until<T>(find: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = find();
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Waits for a message whose `type` or `event` this is and that fits, one already received included. */
  message(name: string, fits: (message: Fields) => boolean = () => true): Promise<Fields> {
    return this.until(() =>
      this.messages.find((found) => [found['type'], found['event']].includes(name) && fits(found)),
    );
  }

  /** Waits for so many messages. */
  told(count: number): Promise<readonly Fields[]> {
    return this.until(() => (this.messages.length >= count ? this.messages : undefined));
  }

  /** Waits until so many binary messages have come. */
  heard(count: number): Promise<readonly Buffer[]> {
    return this.until(() => (this.audio.length >= count ? this.audio : undefined));
  }

  /** Cuts the connection without a close frame. */
  cut(): void {
    this.socket.terminate();
  }
}
