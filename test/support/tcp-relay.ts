import { once } from 'node:events';
import { Transform } from 'node:stream';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay to a port of 127.0.0.1 that cuts connections and holds back data, as networks and proxies do. */
export class TcpRelay {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #held = new Set<() => void>();
  /** Stalled until {@link release}, while newer ones are not. */
  #stalledPairs = new Set<readonly [Socket, Socket]>();
  #down = false;
  #bursts: NodeJS.Timeout | undefined;
  #count = 0;
  #stalled = false;
  #answersStalled = false;

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    server.on('connection', (client) => this.#relay(client, targetPort));
  }

  static async start(targetPort: number): Promise<TcpRelay> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpRelay(server, targetPort);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections, also new ones, until {@link up}. */
  down(): void {
    this.#down = true;
    for (const sockets of this.#pairs) for (const socket of sockets) socket.resetAndDestroy();
  }

  up(): void {
    this.#down = false;
  }

  /** Passes nothing on, not even the end of a connection, until {@link release}. */
  stall(): void {
    this.#stalled = true;
  }

  /** Passes on what clients send, and holds back the answers, until {@link release} or {@link down}. */
  stallAnswers(): void {
    this.#answersStalled = true;
  }

  /** New connections are not stalled; those that are there stay so until {@link release}. */
  letNewPass(): void {
    this.#stalled = false;
    this.#stalledPairs = new Set(this.#pairs);
  }

  release(): void {
    this.#stalled = false;
    this.#answersStalled = false;
    this.#stalledPairs.clear();
    for (const release of [...this.#held]) release();
    this.#held.clear();
  }

  /** How often data was passed on since {@link burst}. */
  get bursts(): number {
    return this.#count;
  }

  /** Passes data on only at this interval from now on, then all that has come. */
  burst(everyMs: number): void {
    this.#bursts ??= setInterval(() => {
      for (const release of [...this.#held]) release();
      this.#held.clear();
      this.#count += 1;
    }, everyMs);
  }

  async stop(): Promise<void> {
    this.down();
    clearInterval(this.#bursts);
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #relay(client: Socket, targetPort: number): void {
    if (this.#down) {
      client.resetAndDestroy();
      return;
    }
    const target = connect(targetPort, '127.0.0.1');
    const pair = [client, target] as const;
    this.#pairs.add(pair);
    const isStalled = (): boolean => this.#stalled || this.#stalledPairs.has(pair);
    client
      .pipe(this.#gate(isStalled))
      .pipe(target)
      .pipe(this.#gate(() => isStalled() || this.#answersStalled))
      .pipe(client);
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        const end = (): void => {
          this.#pairs.delete(pair);
          for (const other of pair) other.destroySoon();
        };
        // What was held back before the end arrives before it.
        if (isStalled()) this.#held.add(() => setImmediate(() => setImmediate(end)));
        else end();
      });
    }
  }

  #gate(isClosed: () => boolean): Transform {
    let gathered: Buffer[] = [];
    const gate = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        if (!this.#bursts && isClosed()) {
          this.#held.add(() => done(null, chunk));
          return;
        }
        if (!this.#bursts) gate.push(chunk);
        // A burst is all that has come, however many chunks that are.
        else if (gathered.push(chunk) === 1)
          this.#held.add(() => {
            gate.push(Buffer.concat(gathered));
            gathered = [];
          });
        done();
      },
      flush: (done) => {
        if (gathered.length === 0) done();
        else this.#held.add(() => done());
      },
    });
    return gate;
  }
}
