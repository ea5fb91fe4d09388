import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket as TcpSocket } from 'node:net';

/** A received SIP message, taken apart only as far as tests need. */
export interface HeardMessage {
  readonly startLine: string;
  /** 0 for a request. */
  readonly status: number;
  /** Empty for a response. */
  readonly method: string;
  readonly text: string;
  readonly body: string;
  /** All values of a header, by its name in any case. */
  header(name: string): string[];
}

/** Reads one message. */
export function hear(text: string): HeardMessage {
  const end = text.indexOf('\r\n\r\n');
  const lines = text.slice(0, end < 0 ? text.length : end).split('\r\n');
  const startLine = lines[0] ?? '';
  const status = /^SIP\/2\.0 (\d{3})/.exec(startLine);
  return {
    startLine,
    status: status ? Number(status[1]) : 0,
    method: status ? '' : startLine.split(' ', 1)[0]!,
    text,
    body: end < 0 ? '' : text.slice(end + 4),
    header: (name) =>
      lines
        .slice(1)
        .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
        .map((line) => line.slice(name.length + 1).trim()),
  };
}

/** Whether a message is a request of a method; for {@link SipPeer.next}. */
export function isRequest(method: string): (message: HeardMessage) => boolean {
  return (message) => message.method === method;
}

/** A peer that says exactly what a test tells it to, over UDP or one TCP connection. */
export class SipPeer {
  readonly heard: HeardMessage[] = [];
  #taken = 0;
  #wake: (() => void) | undefined;
  #buffer = '';
  readonly #send: (bytes: Buffer) => void;
  readonly #close: () => void;
  port = 0;

  private constructor(send: (bytes: Buffer) => void, close: () => void) {
    this.#send = send;
    this.#close = close;
  }

  static async udp(server: { host: string; port: number }, host = '127.0.0.1'): Promise<SipPeer> {
    const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.bind(0, host);
    await once(socket, 'listening');
    const peer = new SipPeer(
      (bytes) => socket.send(bytes, server.port, server.host),
      () => socket.close(),
    );
    peer.port = socket.address().port;
    socket.on('message', (bytes) => peer.#take(bytes.toString('latin1')));
    return peer;
  }

  static async tcp(server: { host: string; port: number }): Promise<SipPeer> {
    const socket: TcpSocket = connect(server.port, server.host);
    await once(socket, 'connect');
    return SipPeer.stream(socket);
  }

  /** A peer on a stream that is connected already. */
  static stream(socket: TcpSocket): SipPeer {
    const peer = new SipPeer(
      (bytes) => socket.write(bytes),
      () => socket.destroy(),
    );
    peer.port = socket.localPort ?? 0;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => peer.#takeStream(chunk.toString('latin1')));
    return peer;
  }

  /** Sends text as it is; a string's characters are bytes. */
  send(text: string | Buffer): void {
    this.#send(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** The next message that was not taken yet and fits; the ones before it are skipped. */
  async next(fits: (message: HeardMessage) => boolean = () => true, ms = 20_000): Promise<HeardMessage> {
    const deadline = Date.now() + ms;
    for (;;) {
      while (this.#taken < this.heard.length) {
        const message = this.heard[this.#taken++]!;
        if (fits(message)) return message;
      }
      const left = deadline - Date.now();
      if (left <= 0) {
        throw new Error(`no fitting SIP message; heard:\n${this.heard.map((m) => m.startLine).join('\n')}`);
      }
      await this.#more(left);
    }
  }

  /** The next final response. */
  async final(ms?: number): Promise<HeardMessage> {
    return this.next((message) => message.status >= 200, ms);
  }

  close(): void {
    this.#close();
  }

  async #more(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(text: string): void {
    this.heard.push(hear(text));
    this.#wake?.();
  }

  #takeStream(text: string): void {
    this.#buffer += text;
    for (;;) {
      if (this.#buffer.startsWith('\r\n')) {
        this.#take('\r\n');
        this.#buffer = this.#buffer.slice(2);
        continue;
      }
      const end = this.#buffer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/^content-length: *(\d+)/im.exec(this.#buffer.slice(0, end))?.[1] ?? 0);
      if (this.#buffer.length < end + 4 + length) return;
      this.#take(this.#buffer.slice(0, end + 4 + length));
      this.#buffer = this.#buffer.slice(end + 4 + length);
    }
  }
}

let calls = 0;

/** One caller's side of a call: writes its requests. */
export class Caller {
  readonly callId = `call-${process.pid}-${++calls}`;
  readonly fromTag = `from-${calls}`;
  readonly peer: SipPeer;
  readonly transport: string;
  toTag = '';
  #branch = 0;
  readonly #host: string;

  /** `host` as URIs write it, an IPv6 address in brackets. */
  constructor(peer: SipPeer, transport = 'UDP', host = '127.0.0.1') {
    this.peer = peer;
    this.transport = transport;
    this.#host = host;
  }

  request(
    method: string,
    cseq: number,
    options: { branch?: string; headers?: string[]; body?: string } = {},
  ): string {
    const { headers = [], body = '' } = options;
    const branch = options.branch ?? `z9hG4bK-${this.callId}-${++this.#branch}`;
    const hostport = `${this.#host}:${this.peer.port}`;
    return [
      `${method} sip:gateway@${this.#host} SIP/2.0`,
      `Via: SIP/2.0/${this.transport} ${hostport};branch=${branch};rport`,
      'Max-Forwards: 70',
      `From: "Caller" <sip:caller@${this.#host}>;tag=${this.fromTag}`,
      `To: <sip:gateway@${this.#host}>${this.toTag === '' ? '' : `;tag=${this.toTag}`}`,
      `Call-ID: ${this.callId}`,
      `CSeq: ${cseq} ${method}`,
      `Contact: <sip:caller@${hostport};transport=${this.transport.toLowerCase()}>`,
      ...headers,
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
  }

  /** Keeps the tag that the other side gave itself. */
  learn(response: HeardMessage): void {
    this.toTag = /;tag=([^;\s]+)/.exec(response.header('to')[0] ?? '')?.[1] ?? '';
  }
}

/** A session description that looks like a phone's. */
export const SDP = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 40000 RTP/AVP 0',
  'a=sendrecv',
  '',
].join('\r\n');
